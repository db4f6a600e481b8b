"""Binds a directory elsewhere with ids mapped: what user 0 has there, another user has here."""
import ctypes, os, signal, sys

source, target, user = sys.argv[1], sys.argv[2], int(sys.argv[3])
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
OPEN_TREE_CLONE, AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, MOVE_MOUNT_F_EMPTY_PATH = 1, 0x1000, 0x100000, 4
libc = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_space")]


def call(number, *arguments):
    answer = libc.syscall(number, *arguments)
    if answer < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return answer


def user_space():
    """A user namespace in which user 0 outside of it is `user`."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        if libc.unshare(0x10000000) != 0:
            os._exit(1)
        os.write(done, b"1")
        signal.pause()
    os.read(ready, 1)
    for ids in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{ids}", "w") as file:
            file.write(f"0 {user} 1")
    space = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return space


tree = call(OPEN_TREE, -100, source.encode(), OPEN_TREE_CLONE)
attributes = Attributes(set=MOUNT_ATTR_IDMAP, user_space=user_space())
call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, ctypes.byref(attributes), ctypes.sizeof(attributes))
call(MOVE_MOUNT, tree, b"", -100, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
