#!/usr/bin/env python3
"""Runs the workloads over the drivers, interleaved, and prints the table.

  ./run.py                         everything that setup.sh has built, 3 rounds
  ./run.py -w W1,W4 -d limit,rig   some workloads, some drivers
  ./run.py --driver ours=target/release/driver-ours     one more driver
Writes results/<time>.json and .md (also to --out BASE). Standard library only.
"""
import argparse, json, os, shlex, statistics, subprocess, sys, time, urllib.request, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REL = os.environ.get("BENCH_BIN", os.path.join(HERE, "target/release"))
PY = os.path.join(HERE, "drivers/python/.venv/bin/python")
JS = os.path.join(HERE, "drivers/js")

# name: (kind, command, apis); kind "native" gets more runs than "script"
DRIVERS = {
    "limit": ("native", [f"{REL}/driver-limit"], ("chat", "responses")),
    "ideal": ("native", [f"{REL}/driver-ideal"], ("chat", "responses")),
    "ours": ("native", [f"{REL}/driver-ours"], ("chat", "responses")),
    "rig": ("native", [f"{REL}/driver-rig"], ("chat", "responses")),
    "async-openai": ("native", [f"{REL}/driver-async-openai"], ("chat",)),
    "genai": ("native", [f"{REL}/driver-genai"], ("chat", "responses")),
    "openai-agents-sdk": ("native", [f"{REL}/driver-openai-agents-sdk"], ("chat", "responses")),
    "openai-agents-py": ("script", [PY, f"{HERE}/drivers/python/openai_agents.py"], ("chat", "responses")),
    "pydantic-ai": ("script", [PY, f"{HERE}/drivers/python/pydantic_ai_driver.py"], ("chat", "responses")),
    "langgraph": ("script", [PY, f"{HERE}/drivers/python/langgraph_driver.py"], ("chat", "responses")),
    "openai-agents-js": ("script", ["node", f"{JS}/openai_agents.mjs"], ("chat", "responses")),
    "vercel-ai-sdk": ("script", ["node", f"{JS}/ai_sdk.mjs"], ("chat", "responses")),
}

# scenario, mode, toolset, concurrency, runs (native, script), warmup (native, script),
# units per run, what a unit is
WORKLOADS = {
    "W1": dict(title="one turn, in sequence", sc="text+stream-16", mode="run", ts="add", c=1, runs=(2000, 200), warm=(50, 20), per=1, unit="run"),
    "W2": dict(title="10-turn tool loop", sc="tools-10+stream-16", mode="run", ts="add", c=1, runs=(200, 20), warm=(5, 3), per=11, unit="turn"),
    "W3": dict(title="1,000 concurrent streamed runs, 50 ms delay", sc="delay-50+stream-64+burst-8+gap-5", mode="stream", ts="add", c=1000, runs=(4000, 1000), warm=(1, 1), per=1, unit="run"),
    "W4": dict(title="10,000 deltas, as fast as the server sends", sc="stream-10000", mode="stream", ts="add", c=1, runs=(20, 2), warm=(2, 1), per=10000, unit="delta"),
    # paced, so that every client reads each event by itself: without the gap a
    # slow client finds several in one read and pays fewer system calls
    "W4b": dict(title="200 deltas 5 ms apart, 4 runs at once", sc="stream-200+burst-1+gap-5", mode="stream", ts="add", c=4, runs=(12, 12), warm=(1, 1), per=200, unit="delta"),
    "W5": dict(title="cold start to the answer of one run", sc="text+stream-16", mode="run", ts="add", c=1, runs=(1, 1), warm=(0, 0), per=1, unit="process", whole=True),
    "W6": dict(title="400 tool turns in one run", sc="tools-400+stream-16", mode="run", ts="add", c=1, runs=(3, 1), warm=(0, 0), per=401, unit="turn", think=True),
    "W7": dict(title="50 tools with big schemas, 10 turns", sc="tools-10+stream-16", mode="run", ts="big50", c=1, runs=(50, 10), warm=(3, 2), per=11, unit="turn"),
    "W8": dict(title="16 parallel calls of 50 ms", sc="ptools-16+stream-16", mode="run", ts="sleep50", c=1, runs=(20, 10), warm=(2, 2), per=1, unit="run"),
}
ROUTES = {"W1": ("chat", "responses"), "W2": ("chat", "responses"), "W4": ("chat", "responses"), "W6": ("chat", "responses")}


def http(port, path, post=False):
    r = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=b"" if post else None, method="POST" if post else "GET")
    with urllib.request.urlopen(r, timeout=10) as f:
        return json.loads(f.read())


class Server:
    def __init__(self, pin):
        cmd = [os.path.join(REL, "modelserver"), "0"]
        if pin:
            cmd = ["taskset", "-c", "0"] + cmd
        self.p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline())

    def stop(self):
        self.p.terminate()
        self.p.wait()


def run_one(cmd, pin, timeout):
    if pin:
        cmd = ["taskset", "-c", "1"] + cmd
    t = time.perf_counter()
    with open(os.devnull) as nul:
        p = subprocess.Popen(cmd, stdin=nul, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    import threading
    timer = threading.Timer(timeout, p.kill)
    timer.start()
    errs = []
    th = threading.Thread(target=lambda: errs.append(p.stderr.read()))
    th.start()
    out = p.stdout.read()
    _, status, ru = os.wait4(p.pid, 0)
    th.join()
    timer.cancel()
    wall = time.perf_counter() - t
    p.returncode = os.waitstatus_to_exitcode(status)
    try:
        d = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        d = {"error": f"exit {p.returncode}: {errs[0][-400:]}", "errors": -1}
    d["proc"] = {"wall_s": wall, "cpu_s": ru.ru_utime + ru.ru_stime, "maxrss_kb": ru.ru_maxrss}
    return d


def expect(w, native, stream):
    """(chars, deltas, tool calls) that one run must give"""
    parts = dict(p.rsplit("-", 1) for p in w["sc"].split("+") if "-" in p)
    n = int(parts.get("stream", 16))
    return 4 * n, n if stream else 0, int(parts.get("tools", parts.get("ptools", 0)))


def check(name, w, d, runs, out_bytes):
    if d.get("errors"):
        return f"errors={d['errors']}: {str(d.get('error'))[:200]}"
    if name == "limit":
        # it reads every byte the server wrote, or its figure means nothing
        want = out_bytes * runs / (runs + w["warm"][0])
        return None if abs(d["chars"] - want) < 1 else f"read {d['chars']} bytes of {want:.0f}"
    ch, de, tc = expect(w, True, w["mode"] == "stream")
    bad = []
    if d["chars"] != ch * runs:
        bad.append(f"chars {d['chars']} != {ch * runs}")
    if d["tool_calls"] != tc * runs:
        bad.append(f"tool calls {d['tool_calls']} != {tc * runs}")
    if w["mode"] == "stream" and d["deltas"] != de * runs:
        bad.append(f"deltas {d['deltas']} != {de * runs} (merged or dropped)")
    return "; ".join(bad) or None


def built(name):
    cmd = DRIVERS[name][1]
    if cmd[0] == "node":
        return os.path.isdir(os.path.join(JS, "node_modules"))
    return os.path.exists(cmd[0])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-w", "--workloads", default=",".join(WORKLOADS) + ",W9")
    ap.add_argument("-d", "--drivers", help="default: all that setup.sh has built")
    ap.add_argument("-n", "--rounds", type=int, default=3)
    ap.add_argument("--driver", action="append", default=[], help="NAME=COMMAND, a native driver with both APIs (NAME=COMMAND@chat: chat only)")
    ap.add_argument("--pin", action="store_true", help="server on CPU 0, client on CPU 1")
    ap.add_argument("--timeout", type=float, default=120)
    ap.add_argument("--out", default=os.path.join(HERE, "results", time.strftime("%Y%m%d-%H%M%S")))
    ap.add_argument("--scale", type=float, default=1.0, help="multiplies the runs")
    ap.add_argument("--script-rounds", type=int, default=99, help="at most so many rounds for Python and JS drivers")
    ap.add_argument("--api", choices=("chat", "responses"), help="this API only")
    ap.add_argument("--merge", nargs="+", metavar="JSON", help="run nothing: one table of these results")
    a = ap.parse_args()
    if a.merge:
        # a round is compared only with its own file's `limit`
        recs = [dict(r, round=f"{f}:{r['round']}") for f in a.merge for r in json.load(open(f))["records"]]
        recs.sort(key=lambda r: (list(WORKLOADS) + ["W9"]).index(r["workload"]))
        return save(recs, a.out, show=True)
    asked = [k for k in a.drivers.split(",") if k] if a.drivers else [k for k in DRIVERS if built(k)]
    drivers = {k: DRIVERS[k] for k in asked}
    for s in a.driver:
        n, c = s.split("=", 1)
        c, _, only = c.partition("@")
        drivers[n] = ("native", shlex.split(c), (only,) if only else ("chat", "responses"))
    srv = Server(a.pin)
    recs = []
    try:
        for wn in a.workloads.split(","):
            if wn == "W9":
                w9(recs, a)
                continue
            w = WORKLOADS[wn]
            for api in ROUTES.get(wn, ("chat",)):
                if a.api not in (None, api):
                    continue
                for rnd in range(a.rounds):
                    for name, (kind, cmd, apis) in drivers.items():
                        if api not in apis or (kind == "script" and rnd >= a.script_rounds):
                            continue
                        k = 0 if kind == "native" else 1
                        runs = max(1, int(w["runs"][k] * a.scale)) if w["runs"][k] > 3 else w["runs"][k]
                        if name == "limit" and wn == "W4":
                            runs *= 50  # 20 runs last 10 ms and vary by 2.5x
                        http(srv.port, "/_reset", True)
                        s0 = http(srv.port, "/_stats")
                        d = run_one(cmd + [f"http://127.0.0.1:{srv.port}/{w['sc']}/v1", api, w["mode"], w["ts"], str(w["c"]), str(runs), str(w["warm"][k])], a.pin, a.timeout)
                        s1 = http(srv.port, "/_stats")
                        bad = check(name, w, d, runs, s1["out_bytes"])
                        units = runs * w["per"]
                        rec = dict(workload=wn, api=api, round=rnd, driver=name, problem=bad, load=os.getloadavg()[0], raw=d)
                        if d.get("errors") != -1:
                            rec["cpu_us"] = (d["proc"]["cpu_s"] if w.get("whole") else d["cpu_s"]) * 1e6 / units
                            rec["wall_us"] = (d["proc"]["wall_s"] if w.get("whole") else d["wall_s"]) * 1e6 / units
                            rec["p50_ms"], rec["p99_ms"], rec["runs_per_s"] = d["p50_ms"], d["p99_ms"], d["runs_per_s"]
                            # VmHWM as the driver reads it: ru_maxrss survives exec, so for a
                            # small child it is this harness's own size
                            rec["rss_kb"] = d["peak_rss_kb"]
                            rec["rss_per_run_kb"] = max(0, d["peak_rss_kb"] - d["rss0_kb"]) / w["c"]
                            rec["server_cpu_us"] = (s1["cpu_s"] - s0["cpu_s"]) * 1e6 / units
                            rec["requests"], rec["body_bytes"] = s1["requests"], s1["body_bytes"]
                            rec["body_per_req"] = s1["body_bytes"] / max(1, s1["requests"])
                            rec["head_per_req"] = s1["head_bytes"] / max(1, s1["requests"])
                            rec["conns"], rec["max_open"] = s1["conns"], s1["max_open"]
                            if w.get("think"):
                                th = s1["think_us"]
                                rec["think_us"], rec["body_by_turn"] = th, s1["body_by_turn"]
                                if len(th) > 390:
                                    rec["think_early_us"] = statistics.median(th[5:45])
                                    rec["think_late_us"] = statistics.median(th[-40:])
                        recs.append(rec)
                        save(recs, a.out)
                        print(f"{wn:4} {api:9} r{rnd} {name:17} " + (f"cpu {rec.get('cpu_us', 0):10.1f} us/{w['unit']:7} wall {rec.get('wall_us', 0):10.1f}  rss {rec.get('rss_kb', 0) / 1024:6.1f} MB load {rec['load']:.1f}" if "cpu_us" in rec else "") + (f"  PROBLEM {bad}" if bad else ""), file=sys.stderr, flush=True)
    finally:
        srv.stop()
        save(recs, a.out, show=True)


def save(recs, out, show=False):
    os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
    md = table(recs)
    with open(out + ".json", "w") as f:
        json.dump({"records": recs, "summary": summary(recs)}, f)
    with open(out + ".md", "w") as f:
        f.write(md)
    if show:
        print(md)
        print(f"wrote {out}.json and {out}.md", file=sys.stderr)


def w9(recs, a):
    cmds = {"limit": [f"{REL}/driver-limit", "sqlite", "10000"]}
    if built("openai-agents-py"):
        cmds["openai-agents-py"] = [PY, f"{HERE}/drivers/python/session_sqlite.py", "10000"]
    for s in a.driver:
        n, c = s.split("=", 1)
        cmds[n] = shlex.split(c.partition("@")[0]) + ["sqlite", "10000"]
    for rnd in range(a.rounds):
        for n, c in cmds.items():
            d = run_one(c + [os.path.join(tempfile.gettempdir(), f"bench-w9-{os.getpid()}.db")], a.pin, a.timeout)
            recs.append(dict(workload="W9", api="-", round=rnd, driver=n, problem=d.get("error"), raw=d,
                             **{k: d[k] for k in ("append_us_per_item", "append_s", "read_all_ms", "read_all_cpu_ms", "tail20_us") if k in d}))
            print("W9", n, {k: v for k, v in d.items() if k != "proc"}, file=sys.stderr)


KEYS = ("cpu_us", "wall_us", "p50_ms", "p99_ms", "runs_per_s", "rss_kb", "rss_per_run_kb", "server_cpu_us", "body_per_req", "head_per_req", "conns", "max_open",
        "think_early_us", "think_late_us", "append_us_per_item", "append_s", "read_all_ms", "read_all_cpu_ms", "tail20_us")


def summary(recs):
    """medians by (workload, api, driver), and the median of the ratios to `limit` round by round"""
    g = {}
    for r in recs:
        g.setdefault((r["workload"], r["api"], r["driver"]), []).append(r)
    out = []
    for (w, api, d), rs in g.items():
        s = dict(workload=w, api=api, driver=d, rounds=len(rs), problem=next((r["problem"] for r in rs if r["problem"]), None))
        for k in KEYS:
            v = [r[k] for r in rs if r.get(k) is not None]
            if v:
                s[k] = statistics.median(v)
        key = "cpu_us" if w != "W9" else "append_us_per_item"
        base = {r["round"]: r for r in g.get((w, api, "limit"), [])}
        for k in (key, "wall_us", "rss_per_run_kb"):
            v = [r[k] / base[r["round"]][k] for r in rs if r.get(k) and base.get(r["round"], {}).get(k)]
            if v:
                s[k + "_x_limit"] = statistics.median(v)
        if s.get("cpu_us"):
            v = [r["cpu_us"] for r in rs if r.get("cpu_us")]
            s["spread"] = max(v) / min(v)
        out.append(s)
    return out


def ratio(v, digits=1):
    return f"{v:.{digits}f}" if v else "-"


def table(recs):
    sm = summary(recs)
    md = []
    seen = []
    for s in sm:
        if (s["workload"], s["api"]) not in seen:
            seen.append((s["workload"], s["api"]))
    for w, api in seen:
        rows = [s for s in sm if (s["workload"], s["api"]) == (w, api)]
        if w == "W9":
            md += ["", "### W9 SQLite session, 10,000 items", "", "| driver | append, CPU us/item | append, wall s | read all, ms | newest 20, us | append x limit |", "|---|---|---|---|---|---|"]
            for s in rows:
                md.append(f"| {s['driver']} | {s.get('append_us_per_item', 0):.1f} | {s.get('append_s', 0):.2f} | {s.get('read_all_ms', 0):.1f} | {s.get('tail20_us', 0):.0f} | {s.get('append_us_per_item_x_limit', 0):.1f} |")
            continue
        wd = WORKLOADS[w]
        u = wd["unit"]
        best = min((s["cpu_us"] for s in rows if s["driver"] not in ("limit", "ideal", "ours") and s.get("cpu_us") and not s["problem"]), default=None)
        ideal = next((s["cpu_us"] for s in rows if s["driver"] == "ideal" and s.get("cpu_us")), None)
        extra = {"W3": ["runs/s", "KB RSS/run", "p99 ms"], "W6": ["think us, turns 5-44", "think us, last 40", "growth"], "W8": ["p50 ms"], "W5": ["peak RSS MB"], "W1": ["p50 ms"], "W7": ["body bytes/request"], "W2": ["body bytes/request"]}.get(w, [])
        md += ["", f"### {w} {wd['title']} ({api}, {wd['mode']})", "", f"| driver | CPU us/{u} | x limit | x ideal | x best peer | wall us/{u} | wall x limit | " + "".join(e + " | " for e in extra) + "note |", "|---" * (8 + len(extra)) + "|"]
        for s in sorted(rows, key=lambda s: s.get("cpu_us", 9e99)):
            if "cpu_us" not in s:
                md.append(f"| {s['driver']} | failed: {s['problem']} |")
                continue
            ev = {"runs/s": lambda: f"{s['runs_per_s']:.0f}", "KB RSS/run": lambda: f"{s['rss_per_run_kb']:.1f}", "p99 ms": lambda: f"{s['p99_ms']:.0f}", "p50 ms": lambda: f"{s.get('p50_ms', 0):.2f}",
                  "peak RSS MB": lambda: f"{s['rss_kb'] / 1024:.1f}", "body bytes/request": lambda: f"{s.get('body_per_req', 0):.0f}",
                  "think us, turns 5-44": lambda: f"{s.get('think_early_us', 0):.0f}", "think us, last 40": lambda: f"{s.get('think_late_us', 0):.0f}",
                  "growth": lambda: f"{s['think_late_us'] / s['think_early_us']:.1f}x" if s.get("think_early_us") else ""}
            md.append(f"| {s['driver']} | {s['cpu_us']:.2f} | {ratio(s.get('cpu_us_x_limit'))} | {ratio(ideal and s['cpu_us'] / ideal)} | {ratio(best and s['cpu_us'] / best, 2)} | {s['wall_us']:.1f} | {ratio(s.get('wall_us_x_limit'))} | " + "".join(ev[e]() + " | " for e in extra) + f"{s['rounds']} rounds, max/min {s['spread']:.2f}{'; ' + s['problem'] if s['problem'] else ''} |")
    return "\n".join(md) + "\n"


if __name__ == "__main__":
    main()
