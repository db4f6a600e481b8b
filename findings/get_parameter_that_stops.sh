#!/usr/bin/env bash
# GET_PARAMETER without a body is what RFC 2326 (10.8) recommends to keep a session alive. The
# server of the Python package rtsp 2.0.3 says in SETUP that a session ends after 60 s, answers
# GET_PARAMETER with 200 as if it were one, and stops the pictures for good; the connection stays
# open. It does not name the method in OPTIONS: a client that sends only what is offered there
# (OPTIONS itself) goes on. And seq in its RTP-Info is not the first packet's number but the one
# before it, which is no packet that was sent: a client that counts from there has lost one.
#
# Seen:
#   offered: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN
#   session: timeout=60
#   RTP-Info: 1 before the first packet
#   behind OPTIONS (200): pictures
#   behind GET_PARAMETER (200): silence
#
# Needs python3 with venv, and PyPI; installs nothing. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: \
    rtsp==2.0.3 av==18.1.0 numpy==2.4.6 pillow==13.0.0 || exit 2

cat >serve.py <<'PYTHON'
import rtsp, socket
from PIL import Image
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
pictures = [Image.new("RGB", (320, 240), (shade, 0, 0)) for shade in range(0, 250, 10)]
with rtsp.Source(f"rtsp://127.0.0.1:{port}/live", fps=25, frame_buffer=pictures) as source:
    source.wait_ready() and source.wait_encoding_started()
    open("port", "w").write(f"{port}\n")
    source.serve_forever()
PYTHON
venv/bin/python serve.py >server.log 2>&1 &
server=$!
for _ in $(seq 200); do
    [ ! -s port ] || break
    sleep 0.1
done

cat >try.py <<'PYTHON'
import select, socket, time

port = int(open("port").read())
url = f"rtsp://127.0.0.1:{port}/live"
connection = socket.create_connection(("127.0.0.1", port))
numbers, packets = iter(range(1, 100)), []

def take(count):
    return connection.recv(count, socket.MSG_WAITALL) if count else b""

def line():
    taken = b""
    while not taken.endswith(b"\r\n"):
        taken += take(1)
    return taken.decode().strip()

def packet():
    packets.append(take(int.from_bytes(take(3)[1:], "big")))

def ask(method, to, *headers):
    lines = [f"{method} {to} RTSP/1.0", f"CSeq: {next(numbers)}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    while (first := take(1)) == b"$":
        packet()
    status = (first.decode() + line()).split()[1]
    fields = [it.split(":", 1) for it in iter(line, "")]
    answer = {name.lower(): value.strip() for name, value in fields}
    take(int(answer.get("content-length", 0)))
    return status, answer

def listen(seconds):
    """Packets that come in that time."""
    until, before = time.monotonic() + seconds, len(packets)
    while select.select([connection], [], [], max(0, until - time.monotonic()))[0]:
        assert take(1) == b"$", "it has closed the connection"
        packet()
    return len(packets) - before

print("offered:", ask("OPTIONS", url)[1]["public"])
ask("DESCRIBE", url, "Accept: application/sdp")
transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
session, timeout = ask("SETUP", f"{url}/trackID=0", transport)[1]["session"].split(";")
print("session:", timeout)
session = f"Session: {session}"
info = ask("PLAY", url, session)[1]["rtp-info"]
told = int(info.split("seq=")[1].split(";")[0])
listen(1)
first = int.from_bytes(packets[0][2:4], "big")
print("RTP-Info:", (first - told) % 65536, "before the first packet")
for method in "OPTIONS", "GET_PARAMETER":
    status = ask(method, url, session)[0]
    # What was on its way.
    listen(0.2)
    print(f"behind {method} ({status}):", "pictures" if listen(3) else "silence")
PYTHON
venv/bin/python try.py | tee seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
offered: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN
session: timeout=60
RTP-Info: 1 before the first packet
behind OPTIONS (200): pictures
behind GET_PARAMETER (200): silence
EXPECTED
