"""A client of locks that are held by `etcdctl lock`, and trusted for as long as that runs. See workloads/CLIENTS.md."""
import json, os, select, subprocess, sys, time

os.environ["ETCDCTL_API"] = "3"
held = {}

def call(f, key, token):
    holder = held.get(key)
    if f == "acquire":
        command = ["etcdctl", "--endpoints", start["address"], "lock", "--ttl", str(start["ttl-ms"] // 1000), key]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready, _, _ = select.select([holder.stdout], [], [], start["timeout-ms"] / 1000)
        name = holder.stdout.readline() if ready else ""  # <key>/<its lease>, once it holds
        if not name:
            end(holder)
            return {"type": "fail", "error": "taken"}
        held[key] = holder
        return {"type": "ok", "value": int(name.rsplit("/", 1)[1], 16)}
    if holder is None or holder.poll() is not None:
        return {"type": "fail", "error": "lost"}
    if f == "work":
        time.sleep(0.1)  # and asks nobody afterwards
    else:
        end(held.pop(key))
    return {"type": "ok"}

def end(holder):
    holder.terminate()  # it gives the lock back
    try:
        holder.wait(1)
    except subprocess.TimeoutExpired:
        holder.kill()  # the lock goes with its lease

for line in sys.stdin:
    told, said = json.loads(line), {"type": "ok"}
    if told["type"] == "start":
        start = told
    elif told["type"] == "invoke":
        said = call(told["f"], told["key"], told["value"])
    elif told["type"] == "close":
        [end(held.pop(key)) for key in list(held)]
    print(json.dumps(said), flush=True)
