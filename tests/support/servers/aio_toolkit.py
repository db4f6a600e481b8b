"""The server of aio-rtsp-toolkit: aio_toolkit.py PORT FOLDER

/FILE?play_count=0 is a file of the folder, for each client from its beginning and over and over.
Sessions that say nothing for 15 s are closed: the least that this server can be told.

Standard output: "READY" once connections are taken.
"""
import asyncio
import sys

from aio_rtsp_toolkit.server import RtspServer

SESSION_TIMEOUT_SECONDS = 15


async def main():
    port, folder = sys.argv[1:]
    server = RtspServer(folder, '127.0.0.1', int(port), session_timeout=SESSION_TIMEOUT_SECONDS)
    await server.start()
    print('READY', flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(main())
