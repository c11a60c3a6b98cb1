"""kazoo's recipes, each across the death of the cluster's leader: recipes.py RECIPE HOSTS

Asks its parent for the kill with a line on standard output, and goes on when a line comes back.
Ends with 0 if the recipe kept its promise.
"""

import logging
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.retry import KazooRetry

PATIENCE = 60


def client(hosts):
    # The recipes retry as their users let them: a connection that is lost is made again.
    retry = KazooRetry(max_tries=-1, max_delay=1, deadline=PATIENCE)
    connection = KazooRetry(max_tries=-1, delay=0.05, max_delay=1)
    made = KazooClient(hosts=hosts, timeout=8, command_retry=retry, connection_retry=connection)
    made.start(timeout=PATIENCE)
    return made


def kill_leader():
    print("kill the leader", flush=True)
    assert sys.stdin.readline(), "the parent has gone"


def wait(event, what):
    assert event.wait(PATIENCE), "waited in vain for " + what


def lock(hosts):
    """Four contenders count under one lock: no two are inside at once, and no count is lost."""
    rounds, contenders = 8, 4
    inside, overlaps, half = [], [], threading.Event()
    clients = [client(hosts) for _ in range(contenders)]
    clients[0].create("/counter", b"0")
    failures = []

    def contend(me, mine):
        try:
            for _ in range(rounds):
                with mine.Lock("/lock", str(me)):
                    inside.append(me)
                    if len(inside) > 1:
                        overlaps.append(list(inside))
                    mine.retry(mine.sync, "/counter")
                    count = int(mine.retry(mine.get, "/counter")[0]) + 1
                    mine.retry(mine.set, "/counter", str(count).encode())
                    if count >= rounds * contenders // 2:
                        half.set()
                    inside.remove(me)
        except Exception as failure:
            failures.append(repr(failure))
            half.set()

    threads = [threading.Thread(target=contend, args=pair, daemon=True) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    wait(half, "half of the counting")
    kill_leader()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a contender waits for ever"
    assert not failures, failures
    assert not overlaps, overlaps
    reader = clients[0]
    reader.retry(reader.sync, "/counter")
    count = int(reader.retry(reader.get, "/counter")[0])
    assert count == rounds * contenders, count
    assert reader.retry(reader.get_children, "/lock") == [], "a contender has left its node"
    for each in clients:
        each.stop()


def data_watch(hosts):
    """A watcher sees values in order and never one twice, and the last of them, also behind a new leader."""
    writer, reader = client(hosts), client(hosts)
    writer.create("/value", b"0")
    reader.sync("/value")
    seen, arrived = [], {n: threading.Event() for n in (0, 10, 20)}

    @reader.DataWatch("/value")
    def see(data, _stat):
        if data is not None:
            seen.append(int(data))
            for n, event in arrived.items():
                if int(data) >= n:
                    event.set()

    wait(arrived[0], "the first value")
    for n in range(1, 11):
        writer.set("/value", str(n).encode())
    wait(arrived[10], "the values before the kill")
    kill_leader()
    for n in range(11, 21):
        writer.retry(writer.set, "/value", str(n).encode())
    wait(arrived[20], "the values after the kill")
    assert seen == sorted(seen), seen
    writer.stop()
    reader.stop()


def election(hosts):
    """One candidate leads at a time; when it goes, another takes over, also behind a new leader of the cluster."""
    clients = [client(hosts) for _ in range(3)]
    leading, led, elected = [], [], threading.Condition()
    resign = [threading.Event() for _ in clients]

    def lead(me):
        with elected:
            leading.append(me)
            led.append(me)
            elected.notify_all()
        resign[me].wait(PATIENCE)
        with elected:
            leading.remove(me)

    def stand(me):
        clients[me].Election("/election", str(me)).run(lead, me)

    for me in range(len(clients)):
        threading.Thread(target=stand, args=(me,), daemon=True).start()

    def wait_led(n):
        with elected:
            assert elected.wait_for(lambda: len(led) >= n, PATIENCE), "only %s have led" % led
            assert len(leading) == 1, leading
            return led[n - 1]

    first = wait_led(1)
    kill_leader()
    resign[first].set()
    second = wait_led(2)
    assert second != first
    resign[second].set()
    third = wait_led(3)
    assert sorted((first, second, third)) == [0, 1, 2]
    resign[third].set()
    for each in clients:
        each.stop()


RECIPES = {"lock": lock, "data-watch": data_watch, "election": election}

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING)
    try:
        RECIPES[sys.argv[1]](sys.argv[2])
    except (AssertionError, KazooException) as failure:
        print("%s: %r" % (sys.argv[1], failure))
        sys.exit(1)
