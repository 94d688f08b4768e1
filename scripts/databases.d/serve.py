"""Runs Postgres and Redis on free ports of 127.0.0.1, with data in a folder of their own, until its parent is gone.

Prints `READY POSTGRES_URL REDIS_URL REDIS_TLS_URL CERTIFICATE CONTROL` once both answer. Both speak TLS with a certificate for
127.0.0.1 that is signed by itself, in the file CERTIFICATE: Postgres where it is asked to, Redis at a port of its own. CONTROL is a loopback address that takes one command a
connection and answers `ok` when it is done, so that a test can break a server at a moment of its choice:

    kill postgres|redis     SIGKILL for the server and all its processes
    start postgres|redis    starts it again, on the same port and data

As root, the servers run as the user `postgres` or, where there is none, `nobody`: Postgres refuses to be root.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PASSWORD = "loopback-test"
parent = os.getppid()


def main():
    folder = tempfile.mkdtemp(prefix="openai-agents-databases-")
    servers = {}
    try:
        user = unprivileged()
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        certificate, key = certify(folder, user)
        servers = {name: make(folder, user, certificate, key) for name, make in (("postgres", Postgres), ("redis", Redis))}
        for server in servers.values():
            server.start()
        control = socket.create_server(("127.0.0.1", 0))
        urls = [server.url() for server in servers.values()]
        print("READY", *urls, servers["redis"].tls_url(), certificate, f"127.0.0.1:{control.getsockname()[1]}", flush=True)
        threading.Thread(target=obey, args=(control, servers), daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        while os.getppid() == parent:
            time.sleep(0.2)
    finally:
        for server in servers.values():
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def certify(folder, user):
    """Makes a certificate that the servers present, and which is trusted where its file is named."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=databases", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    # Postgres refuses a key that others can read.
    os.chmod(key, 0o600)
    if user:
        os.chown(key, user.pw_uid, user.pw_gid)
    os.chmod(folder, 0o711)
    return certificate, key


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def unprivileged():
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    sys.exit("as root, a user `postgres` or `nobody` is needed")


def obey(control, servers):
    while True:
        connection, _ = control.accept()
        with connection:
            try:
                verb, name = connection.makefile().readline().split()
                {"kill": servers[name].kill, "start": servers[name].start}[verb]()
                connection.sendall(b"ok\n")
            except Exception as error:  # The test sees it, and this goes on.
                connection.sendall(f"error: {error!r}\n".encode())


class Server:
    def __init__(self, folder, user, certificate, key):
        self.user = user
        self.certificate, self.key = certificate, key
        self.data = os.path.join(folder, self.name)
        self.log = os.path.join(folder, self.name + ".log")
        self.process = None
        os.mkdir(self.data, 0o700)
        if user:
            os.chown(self.data, user.pw_uid, user.pw_gid)
        self.port = free_port()

    def spawn(self, command):
        identity = {}
        if self.user:
            identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        # A session of its own: it can be killed whole, and the terminal's Ctrl-C is not for it.
        return subprocess.Popen(
            command, cwd=self.data, stdin=subprocess.DEVNULL, stdout=open(self.log, "a"),
            stderr=subprocess.STDOUT, start_new_session=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            **identity,
        )

    def start(self):
        self.process = self.spawn(self.command())
        until = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{self.name} did not start: {open(self.log).read()[-2000:]}")
            time.sleep(0.05)

    def kill(self):
        if self.process is None:
            return
        # The processes of Postgres have sessions of their own, and would finish what they are at.
        for pid in (self.process.pid, *children(self.process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        # Its children are not ours to wait for; the port is free when the last is gone.
        while self.accepts():
            time.sleep(0.02)

    def accepts(self):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


class Postgres(Server):
    name = "postgres"

    def __init__(self, folder, user, certificate, key):
        super().__init__(folder, user, certificate, key)
        found = shutil.which("postgres") or max(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=version)
        self.bin = os.path.dirname(os.path.realpath(found))
        password = os.path.join(folder, "password")
        with open(password, "w") as file:
            file.write(PASSWORD)
        if user:
            os.chown(password, user.pw_uid, user.pw_gid)
        made = self.spawn([
            os.path.join(self.bin, "initdb"), "--pgdata", self.data, "--username", "openai_agents", "--encoding", "UTF8",
            "--auth", "scram-sha-256", "--pwfile", password, "--no-sync", "--no-instructions",
        ])
        if made.wait() != 0:
            sys.exit(f"initdb failed: {open(self.log).read()[-2000:]}")

    def command(self):
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=50",
                    "ssl=on", f"ssl_cert_file={self.certificate}", f"ssl_key_file={self.key}"]
        return [os.path.join(self.bin, "postgres"), "-D", self.data, *[word for s in settings for word in ("-c", s)]]

    def answers(self):
        ready = [os.path.join(self.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, stdin=subprocess.DEVNULL).returncode == 0

    def url(self):
        return f"postgres://openai_agents:{PASSWORD}@127.0.0.1:{self.port}/postgres"


class Redis(Server):
    name = "redis"

    def __init__(self, folder, user, certificate, key):
        super().__init__(folder, user, certificate, key)
        self.tls_port = free_port()

    def command(self):
        # What it acknowledges is on the disk.
        return [
            shutil.which("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.data,
            "--tls-port", str(self.tls_port), "--tls-cert-file", self.certificate, "--tls-key-file", self.key,
            "--tls-auth-clients", "no", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--requirepass", PASSWORD,
        ]

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                # While it loads, the answer is an error.
                answers = connection.makefile(newline="")
                return answers.readline() == "+OK\r\n" and answers.readline() == "+PONG\r\n"
        except OSError:
            return False

    def url(self):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def tls_url(self):
        return f"rediss://:{PASSWORD}@127.0.0.1:{self.tls_port}/1"


def children(parent):
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                # pid (name) state ppid: a name may hold anything.
                if int(file.read().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(stat.split("/")[2]))
        except OSError:
            continue
    return found


def version(path):
    return int("".join(c for c in path.split("/")[4] if c.isdigit()) or 0)


main()
