//! The daemon's side of the socket.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::{Answer, Ask, CLIPS_PATH, EVENTS_PATH, EXPIRE_PATH, RECORD_PATH};

/// Who may use the socket: its owner and its group.
const MODE: u32 = 0o660;
/// Of the directory that it is made in, where there is none.
const DIRECTORY_MODE: u32 = 0o755;
/// Served at once; others wait.
const CONNECTIONS_MAX: usize = 16;
/// To say what is asked.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// To be answered: recorders end within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Before connections are taken again that the system refused to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What somebody asks, to be answered.
#[derive(Debug)]
pub struct Asked {
    /// What.
    pub ask: Ask,
    answer: oneshot::Sender<Answer>,
}

impl Asked {
    /// Whether nobody waits for it any more: it is not to be done then.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers it; who has gone meanwhile does not hear it.
    pub fn answer(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }
}

/// The socket, while it is listened to; it goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// Listens at `path`, in the place of a socket that a killed daemon has left there. What is
    /// asked goes to `asked`.
    ///
    /// # Errors
    /// What the system says; another daemon listens there; or something else is there, which stays.
    pub fn listen(path: &Path, runtime: &Handle, asked: Sender<Asked>) -> io::Result<Control> {
        make_room(path)?;
        let _entered = runtime.enter();
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        let task = runtime.spawn(serve(listener, asked));
        Ok(Control { path: path.to_owned(), task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("{}: not removed: {error}", self.path.display());
        }
    }
}

fn make_room(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "something that is no socket is there"))
        }
        Ok(_) => match Probe::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another daemon listens there")),
        },
    }
}

async fn serve(listener: UnixListener, asked: Sender<Asked>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::debug!("a connection of the control socket: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let asked = asked.clone();
        tokio::spawn(async move {
            let _place = place;
            let serving = serve_one(stream, asked);
            if tokio::time::timeout(ASK_TIMEOUT + ANSWER_TIMEOUT, serving).await.is_err() {
                log::debug!("a connection of the control socket takes too long");
            }
        });
    }
}

async fn serve_one(stream: UnixStream, asked: Sender<Asked>) {
    let service = service_fn(move |request| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(response(request, &asked).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASK_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("a connection of the control socket: {error}");
    }
}

async fn response(request: Request<Incoming>, asked: &Sender<Asked>) -> Response<Full<Bytes>> {
    let (status, answer) = match understood(request).await {
        Err((status, why)) => (status, Err(why).into()),
        Ok(ask) => match answered(ask, asked).await {
            answer @ Answer { error: None, .. } => (StatusCode::OK, answer),
            answer => (StatusCode::UNPROCESSABLE_ENTITY, answer),
        },
    };
    let mut body = serde_json::to_vec(&answer).unwrap_or_default();
    body.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

async fn understood(request: Request<Incoming>) -> Result<Ask, (StatusCode, String)> {
    let path = request.uri().path().to_owned();
    let nothing_there = || {
        let why = format!("there are {RECORD_PATH}, {CLIPS_PATH}, {EVENTS_PATH} and {EXPIRE_PATH}");
        (StatusCode::NOT_FOUND, why)
    };
    let bytes_max = Ask::bytes_max(&path).ok_or_else(nothing_there)?;
    if request.method() != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "POST is".to_owned()));
    }
    let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
    let body = Limited::new(request.into_body(), bytes_max).collect();
    let body = tokio::time::timeout(ASK_TIMEOUT, body).await;
    let body = body.map_err(|_| wrong("it takes too long to say it".to_owned()))?;
    let body = body.map_err(|error| wrong(error.to_string()))?;
    let ask = Ask::decode(&path, &body.to_bytes()).ok_or_else(nothing_there)?;
    ask.map_err(|error| wrong(error.to_string()))
}

async fn answered(ask: Ask, asked: &Sender<Asked>) -> Answer {
    let (answer, answered) = oneshot::channel();
    let not_done = |why: &str| Err(why.to_owned()).into();
    if asked.send(Asked { ask, answer }).is_err() {
        return not_done("the daemon is stopping");
    }
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => not_done("the daemon is stopping"),
        Err(_) => not_done("the daemon does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{ASK_BYTES_MAX, RecordAsk, To, ask};
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a thread")
    }

    fn off() -> Ask {
        let cameras = vec!["yard".to_owned()];
        Ask::Record(RecordAsk { cameras, record: To::Off, config: None, length: None })
    }

    #[test]
    fn what_is_asked_is_answered() {
        let (folder, runtime) = (tempfile::tempdir().expect("a folder"), runtime());
        let path = folder.path().join("run/control");
        let (asked, asks) = mpsc::channel::<Asked>();
        let control = Control::listen(&path, runtime.handle(), asked).expect("it listens");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let daemon = std::thread::spawn(move || {
            for answer in [Ok(vec!["yard: off".to_owned()]), Err("no such camera".to_owned())] {
                let asked = asks.recv().expect("an ask");
                assert_eq!(asked.ask, off());
                asked.answer(answer.into());
            }
        });
        let answer = || ask(&path, &off()).expect("an answer");
        assert_eq!(answer(), Ok(vec!["yard: off".to_owned()]).into());
        assert_eq!(answer(), Err("no such camera".to_owned()).into());
        daemon.join().expect("it ends");
        assert_eq!(answer(), Err("the daemon is stopping".to_owned()).into());
        drop(control);
        assert!(!path.exists() && ask(&path, &off()).is_err());
    }

    #[test]
    fn what_is_no_ask_is_refused() {
        use std::io::{Read, Write};
        let (folder, runtime) = (tempfile::tempdir().expect("a folder"), runtime());
        let path = folder.path().join("control");
        let (asked, asks) = mpsc::channel();
        let _control = Control::listen(&path, runtime.handle(), asked).expect("it listens");
        let long = format!(
            "POST /record HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}",
            ASK_BYTES_MAX + 1,
            "x".repeat(ASK_BYTES_MAX + 1)
        );
        for (said, status) in [
            ("GET /record HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            ("POST /other HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("POST /record HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "400"),
            ("hello\r\n\r\n", "400"),
            (long.as_str(), "400"),
        ] {
            let mut stream = Probe::connect(&path).expect("it listens");
            // Who is refused early may not be read to the end.
            let _ = stream.write_all(said.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{said:.40}: {answer}");
        }
        assert!(asks.try_recv().is_err());
    }

    #[test]
    fn only_a_socket_that_was_left_behind_makes_room() {
        let (folder, runtime) = (tempfile::tempdir().expect("a folder"), runtime());
        let path = folder.path().join("control");
        let listen = || {
            let (asked, _) = mpsc::channel();
            Control::listen(&path, runtime.handle(), asked)
        };
        fs::write(&path, "somebody's").expect("room");
        assert_eq!(listen().expect_err("a file").kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("it is there"), b"somebody's");
        fs::remove_file(&path).expect("it was there");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let control = listen().expect("nobody listens there any more");
        assert_eq!(listen().expect_err("another one").kind(), ErrorKind::AddrInUse);
        drop(control);
    }
}
