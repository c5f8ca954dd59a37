"""Which calls break which rule of `durable lint`. The guards of a running workflow refuse the same."""

import ast

from ._lint_rules import BLOCKED_LOOP, BLOCKING, CHANCE, CLOCK, ENVIRONMENT, IDENTITY, IDS, IO, THREADS, Rule

_HTTP_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_PATH_METHODS = {
    "chmod", "exists", "glob", "hardlink_to", "is_dir", "is_file", "iterdir", "lstat", "mkdir", "open", "read_bytes",
    "read_text", "rename", "replace", "resolve", "rglob", "rmdir", "samefile", "stat", "symlink_to", "touch", "unlink",
    "walk", "write_bytes", "write_text",
}  # fmt: skip

_CALLS: dict[Rule, tuple[str, ...]] = {
    CLOCK: (
        "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
        "time.process_time", "time.clock_gettime", "datetime.datetime.now", "datetime.datetime.utcnow",
        "datetime.datetime.today", "datetime.date.today",
    ),
    CHANCE: ("os.urandom", "os.getrandom", "random.SystemRandom"),
    IDS: ("uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "uuid.uuid8"),
    IO: (
        "open", "input", "io.open", "os.open", "os.read", "os.write", "os.remove", "os.unlink", "os.rename", "os.replace",
        "os.mkdir", "os.makedirs", "os.rmdir", "os.listdir", "os.scandir", "os.walk", "os.stat", "os.system", "os.popen",
        "os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.getsize", "os.path.getmtime",
        "pathlib.Path.cwd", "pathlib.Path.home", "socket.socket", "socket.create_connection", "socket.create_server",
        "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostname", "urllib.request.urlopen",
        "urllib.request.urlretrieve", "http.client.HTTPConnection", "http.client.HTTPSConnection", "smtplib.SMTP",
        "smtplib.SMTP_SSL", "sqlite3.connect", "psycopg.connect", "psycopg2.connect", "asyncpg.connect",
        "asyncpg.create_pool", "redis.Redis", "redis.from_url", "redis.asyncio.Redis", "redis.asyncio.from_url",
        "boto3.client", "boto3.resource", "requests.Session", "httpx.Client", "httpx.AsyncClient", "httpx.stream",
        "aiohttp.ClientSession", "aiohttp.request", "asyncio.open_connection", "asyncio.start_server",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
        *(f"requests.{verb}" for verb in _HTTP_VERBS), *(f"httpx.{verb}" for verb in _HTTP_VERBS),
    ),
    THREADS: (
        "threading.Thread", "threading.Timer", "_thread.start_new_thread", "concurrent.futures.ThreadPoolExecutor",
        "concurrent.futures.ProcessPoolExecutor", "multiprocessing.Process", "multiprocessing.Pool", "asyncio.to_thread",
        "asyncio.run", "asyncio.run_coroutine_threadsafe", "asyncio.new_event_loop",
    ),
    BLOCKING: ("time.sleep",),
    ENVIRONMENT: (
        "os.getenv", "os.getpid", "os.getppid", "os.getcwd", "os.getlogin", "os.cpu_count", "os.process_cpu_count", "os.uname",
        "getpass.getuser", "locale.getlocale", "multiprocessing.cpu_count", "threading.get_ident",
    ),
    IDENTITY: ("id", "hash"),
}  # fmt: skip
_BY_NAME = {name: rule for rule, names in _CALLS.items() for name in names}
_BY_PREFIX = {
    "random.": CHANCE,
    "secrets.": CHANCE,
    "numpy.random.": CHANCE,
    "subprocess.": IO,
    "shutil.": IO,
    "tempfile.": IO,
    "platform.": ENVIRONMENT,
}
ENVIRONMENT_NAMES = {"os.environ", "os.environb", "sys.argv", "sys.flags"}
# Of those modules, what computes without chance or I/O.
_HARMLESS = {
    "numpy.random.SeedSequence", "secrets.compare_digest", "subprocess.list2cmdline", "subprocess.CalledProcessError",
    "subprocess.TimeoutExpired", "shutil.get_terminal_size",
}  # fmt: skip
# These read the clock, or draw a seed, only when they are called with fewer arguments than this.
_UNLESS_GIVEN = {
    "time.localtime": (CLOCK, 1), "time.gmtime": (CLOCK, 1), "time.ctime": (CLOCK, 1), "time.asctime": (CLOCK, 1),
    "time.strftime": (CLOCK, 2), "random.Random": (CHANCE, 1), "numpy.random.default_rng": (CHANCE, 1),
}  # fmt: skip


def broken_by(name: str, call: ast.Call) -> Rule | None:
    """Return the rule that calling the function of the full dotted `name` breaks, or None."""
    if name in _UNLESS_GIVEN:
        rule, enough = _UNLESS_GIVEN[name]
        return rule if len(call.args) + len(call.keywords) < enough else None
    if name == "hash" and call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, int):
        return None  # whole numbers hash to themselves
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _HARMLESS:
        return None
    return next((rule for prefix, rule in _BY_PREFIX.items() if name.startswith(prefix)), None)


def broken_by_method(method: str, *, of_path: bool) -> Rule | None:
    """Return the rule that calling `method` breaks, on a `pathlib.Path` (`of_path`) or on any object."""
    if of_path and method in _PATH_METHODS:
        return IO
    return THREADS if method == "run_in_executor" else None


# What blocks the event loop of a worker while it waits. Not here: what only looks at a directory, which is quick.
_BLOCKS_A_LOOP = {
    "time.sleep", "input", "open", "io.open", "os.system", "os.popen", "os.wait", "os.waitpid", "os.fsync",
    "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput",
    "subprocess.getstatusoutput", "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname",
    "urllib.request.urlopen", "urllib.request.urlretrieve", "http.client.HTTPConnection", "http.client.HTTPSConnection",
    "smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP", "sqlite3.connect", "psycopg.connect", "psycopg2.connect",
    "pymysql.connect", "redis.Redis", "redis.from_url", "boto3.client", "boto3.resource", "requests.Session",
    "httpx.Client", "httpx.stream", "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move",
    "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive", "concurrent.futures.wait",
    *(f"requests.{verb}" for verb in _HTTP_VERBS), *(f"httpx.{verb}" for verb in _HTTP_VERBS),
}  # fmt: skip
_BLOCKING_PATH_METHODS = {"open", "read_bytes", "read_text", "write_bytes", "write_text"}


def blocked_by(name: str | None, method: str, *, of_path: bool) -> Rule | None:
    """Return the rule that a call breaks in an `async def` activity: of the full dotted `name`, or of a path's `method`."""
    if name in _BLOCKS_A_LOOP or (of_path and method in _BLOCKING_PATH_METHODS):
        return BLOCKED_LOOP
    return None
