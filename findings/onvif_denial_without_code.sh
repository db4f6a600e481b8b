#!/usr/bin/env bash
# A device that is made with the crate onvif-server 0.1.1 (with soap-server 0.1.1) answers who does not
# log in, or logs in wrongly, with status 500 and a fault whose code is env:Sender alone: the subcode
# ter:NotAuthorized, by which the ONVIF Core Specification (generic faults) tells a refused login from
# a bad request, is not there, and only the words of the reason are left. A bad request (no such
# operation) has the same code. Whoever goes by the code takes a wrong password for a camera that does
# not understand, and tries on.
#
# Seen:
#   no login: 500 env:Sender, subcodes 0: WS-Security header required but not provided
#   wrong login: 500 env:Sender, subcodes 0: Authentication failed
#   no such operation: 500 env:Sender, subcodes 0
#
# Needs root (a network of its own, with a loopback interface alone), cargo, curl, iproute2 and
# python3. Exit status 1 where it has changed.
set -euo pipefail

if [ "${1:-}" != inside ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cargo install --quiet --locked onvif-server --version 0.1.1 --example minimal_device \
        --root "$folder" --target-dir "$folder/target" >"$folder/cargo.log" 2>&1 ||
        { cat "$folder/cargo.log" >&2; exit 2; }
    unshare --net bash "$0" inside "$folder"
    exit
fi

folder=$2
cd "$folder"
ip link set lo up
"$folder/bin/minimal_device" >/dev/null 2>&1 &
device=$!
trap 'kill "$device" 2>/dev/null' EXIT
for _ in $(seq 50); do
    curl -s -o /dev/null http://127.0.0.1:8080/ && break
    sleep 0.1
done

# An envelope with this header and body, to a service; says what came back.
ask() { # SERVICE HEADER BODY
    local status
    status=$(curl -s -o answer.xml -w '%{http_code}' -H 'Content-Type: application/soap+xml' -d \
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header>$2</s:Header>\
<s:Body>$3</s:Body></s:Envelope>" "http://127.0.0.1:8080/onvif/$1")
    echo "$status $(sed -n 's/.*<env:Value>\(env:[A-Za-z]*\)<.*/\1/p' answer.xml), subcodes" \
        "$(grep -c Subcode answer.xml || true)"
}
words() { sed -n 's/.*<env:Text[^>]*>\([^<]*\)<.*/\1/p' answer.xml; }

profiles='<GetProfiles xmlns="http://www.onvif.org/ver10/media/wsdl"/>'
wrong=$(python3 - <<'PYTHON'
import base64, datetime, hashlib, os
nonce = os.urandom(16)
created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
digest = hashlib.sha1(nonce + created.encode() + b"not it").digest()
space = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
print(f'<w:Security xmlns:w="{space}wssecurity-secext-1.0.xsd"><w:UsernameToken>'
      f'<w:Username>admin</w:Username><w:Password Type="{space}username-token-profile-1.0'
      f'#PasswordDigest">{base64.b64encode(digest).decode()}</w:Password>'
      f'<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>'
      f'<u:Created xmlns:u="{space}wssecurity-utility-1.0.xsd">{created}</u:Created>'
      f'</w:UsernameToken></w:Security>')
PYTHON
)
{
    said=$(ask media_service '' "$profiles")
    echo "no login: $said: $(words)"
    said=$(ask media_service "$wrong" "$profiles")
    echo "wrong login: $said: $(words)"
    said=$(ask device_service '' '<NoSuch xmlns="http://www.onvif.org/ver10/device/wsdl"/>')
    echo "no such operation: $said"
} | tee seen

diff seen - <<'SEEN' || { echo "changed" >&2; exit 1; }
no login: 500 env:Sender, subcodes 0: WS-Security header required but not provided
wrong login: 500 env:Sender, subcodes 0: Authentication failed
no such operation: 500 env:Sender, subcodes 0
SEEN
