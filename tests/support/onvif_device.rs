//! A camera that speaks ONVIF, of somebody else's making, in a network of its own.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use onvif_server::{
    DeviceInfo, DeviceService, MediaProfile, MediaService, OnvifError, OnvifServer,
};
use tokio::runtime::Runtime;

/// Leaves the network of this machine, with all that this thread starts from then on, for one with
/// a loopback interface alone, which takes searches, too.
///
/// # Panics
/// Where that is not allowed.
pub fn leave_the_network() {
    // SAFETY: it has no pointers, and concerns this thread alone.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(left, 0, "unshare: {}", std::io::Error::last_os_error());
    for words in [&["link", "set", "lo", "up"][..], &["route", "add", "239.0.0.0/8", "dev", "lo"]] {
        let done = Command::new("ip").args(words).status().expect("ip, of iproute2");
        assert!(done.success(), "ip {words:?}");
    }
}

/// What a camera is.
#[derive(Clone)]
pub struct Model {
    pub serial: &'static str,
    pub password: &'static str,
    /// Profiles: token, coding, width and height, address of the stream.
    pub streams: Vec<(&'static str, &'static str, (u32, u32), String)>,
}

/// One that runs; ends when it is dropped.
pub struct OnvifDevice {
    runtime: Option<Runtime>,
}

/// Whom it lets in.
pub const USERNAME: &str = "viewer";

impl OnvifDevice {
    /// Starts it at an address of this machine.
    pub fn start(model: Model, host: &str, port: u16) -> OnvifDevice {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let server = OnvifServer::builder()
            .port(port)
            .advertised_host(host)
            .device_service(model.clone())
            .media_service(model.clone())
            .auth(USERNAME, model.password)
            .discovery_uuid(uuid::Uuid::from_u128(model.serial.len() as u128))
            .build()
            .expect("a device");
        runtime.spawn(async move { server.run().await.expect("it serves") });
        OnvifDevice { runtime: Some(runtime) }
    }
}

impl Drop for OnvifDevice {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

#[async_trait]
impl DeviceService for Model {
    async fn get_device_information(&self) -> Result<DeviceInfo, OnvifError> {
        Ok(DeviceInfo {
            manufacturer: "Example".to_owned(),
            model: "X-1".to_owned(),
            firmware_version: "1".to_owned(),
            serial_number: self.serial.to_owned(),
            hardware_id: "x".to_owned(),
        })
    }
}

#[async_trait]
impl MediaService for Model {
    fn profiles(&self) -> Vec<MediaProfile> {
        let profile =
            |(token, coding, (width, height), _): &(&str, &str, (u32, u32), String)| MediaProfile {
                token: (*token).to_owned(),
                name: (*token).to_owned(),
                video_source_token: "lens".to_owned(),
                width: *width,
                height: *height,
                encoding: (*coding).to_owned(),
                framerate: 25,
                bitrate: 1000,
            };
        self.streams.iter().map(profile).collect()
    }

    async fn get_stream_uri(&self, token: &str) -> Result<String, OnvifError> {
        let found = self.streams.iter().find(|(own, ..)| *own == token);
        found
            .map(|(.., url)| url.clone())
            .ok_or_else(|| OnvifError::InvalidArgument(token.to_owned()))
    }

    async fn get_snapshot_uri(&self, _token: &str) -> Result<String, OnvifError> {
        Ok("http://127.0.0.1/still.jpg".to_owned())
    }
}
