"""What other programs make of fairlead's numbers: promtool, a real Prometheus with the rules and the dashboard of deploy/,
and HAProxy's exporter. All from Debian."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request

from harness import ROOT, Process, TestCase, free_port, wait_until
from resp_client import ReplyError

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "fairlead.json"


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.read().decode()


class Load:
    """Clients that read and write until the end."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(3)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        with self.proxy.client() as client:
            count = 0
            while not self.ending.is_set():
                count += 1
                try:
                    client.command("SET", f"load:{number}:{count % 20}", "x" * 50)
                    client.command("GET", f"load:{number}:{count % 20}")
                except ReplyError:
                    pass  # no master for too long, on a very busy machine
                self.ending.wait(0.002)

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(10)


def start_prometheus(directory, stats_port):
    """A Prometheus with the rules of deploy/, which scrapes this one listener every second."""
    for name in ("fairlead.rules.yml", "prometheus.yml"):
        shutil.copy(PROMETHEUS / name, directory)
    config = pathlib.Path(directory) / "prometheus.yml"
    text = config.read_text()
    assert "127.0.0.1:9000" in text and "5s" in text
    config.write_text(text.replace("127.0.0.1:9000", f"127.0.0.1:{stats_port}").replace("5s", "1s"))
    port = free_port()
    process = Process("prometheus", ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
                                     f"--storage.tsdb.path={directory}/data", "--log.level=warn"], directory)
    return process, port


def query(port, expression):
    answer = json.loads(fetch(port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def numbers(port, expression):
    """The values of an expression that are numbers."""
    values = [float(series["value"][1]) for series in query(port, expression)]
    return [value for value in values if value == value]


def rule_expressions():
    """Each rule's expression without its last comparison: what it looks at, alarm or not."""
    found = {}
    name = None
    for line in (PROMETHEUS / "fairlead.rules.yml").read_text().splitlines():
        if match := re.match(r"\s*- alert: (\w+)", line):
            name = match.group(1)
        elif match := re.match(r"\s*expr: (.*)", line):
            found[name] = re.sub(r"\s*(==|>|<)\s*[0-9.]+$", "", match.group(1))
    return found


def panel_expressions():
    """Each target of the dashboard, with the values that Grafana would put for its variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            found[f"{panel['title']} {target['refId']}"] = re.sub(r"\$(instance|server)", ".*", text)
    return found


class Numbers(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=3)
        # One of a pair, as far as its numbers go: the address is one that this host has.
        cls.proxy = cls.shared_fairlead(cls.set, "--vrrp-address", "127.0.0.1")
        cls.load = Load(cls.proxy)
        cls.addClassCleanup(cls.load.stop)
        cls.prometheus, cls.port = start_prometheus(tempfile.mkdtemp(dir=cls.directory), cls.proxy.stats_port)
        cls.addClassCleanup(cls.prometheus.stop)
        wait_until(lambda: numbers(cls.port, "rate(fairlead_frontend_commands_total[1m])"), 60,
                   "Prometheus to have scraped fairlead twice")

    def test_promtool_finds_nothing_to_say(self):
        wait_until(lambda: "fairlead_replica_lag_bytes{" in fetch(self.proxy.stats_port, "/metrics"),
                   what="the replica's lag to be known")
        text = fetch(self.proxy.stats_port, "/metrics")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, timeout=30, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        bad = subprocess.run(["promtool", "check", "metrics"], input=text + text, text=True, timeout=30, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertNotEqual(bad.returncode, 0, "promtool accepts everything")

    def test_every_rule_looks_at_a_series(self):
        expressions = rule_expressions()
        self.assertGreaterEqual(len(expressions), 16)
        for name, expression in expressions.items():
            with self.subTest(name):
                wait_until(lambda: numbers(self.port, expression), 30, f"a number from {expression}")

    def test_every_panel_shows_a_number(self):
        expressions = panel_expressions()
        self.assertGreaterEqual(len(expressions), 19)
        for name, expression in expressions.items():
            with self.subTest(name):
                wait_until(lambda: numbers(self.port, expression), 30, f"a number from {expression}")

    def test_what_does_not_exist_is_not_found(self):
        self.assertEqual(numbers(self.port, "fairlead_no_such_metric"), [])

    def test_the_rules_are_loaded_and_silent(self):
        groups = json.loads(fetch(self.port, "/api/v1/rules"))["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertEqual(len(rules), len(rule_expressions()))
        wait_until(lambda: all(rule["health"] == "ok" for group in
                               json.loads(fetch(self.port, "/api/v1/rules"))["data"]["groups"] for rule in group["rules"]),
                   20, "every rule to have been evaluated")
        firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
        self.assertEqual(firing, set())

    def test_haproxys_exporter_reads_the_csv(self):
        port = free_port()
        address = f"http://127.0.0.1:{self.proxy.stats_port}/haproxy?stats;csv"
        exporter = Process("exporter", ["prometheus-haproxy-exporter", f"--web.listen-address=127.0.0.1:{port}",
                                        f"--haproxy.scrape-uri={address}"], tempfile.mkdtemp(dir=self.directory))
        self.addCleanup(exporter.stop)
        wait_until(lambda: "haproxy_up 1" in fetch(port, "/metrics"), 20, "the exporter to read fairlead's CSV")
        text = fetch(port, "/metrics")
        master = self.set.master().address
        for line in ('haproxy_backend_up{backend="redis"} 1', f'haproxy_server_up{{backend="redis",server="{master}"}} 1',
                     'haproxy_exporter_csv_parse_failures_total 0'):
            self.assertIn(line, text)
        for server in self.set.servers:
            self.assertIn(f'haproxy_server_current_sessions{{backend="redis",server="{server.address}"}}', text)
        self.assertRegex(text, r'haproxy_frontend_bytes_in_total\{frontend="redis"\} [1-9]')

    def test_the_csv_has_haproxys_columns(self):
        """As HAProxy itself writes them; behind its last common column each version adds some of its modules."""
        directory = tempfile.mkdtemp(dir=self.directory)
        port = free_port()
        config = pathlib.Path(directory) / "haproxy.cfg"
        config.write_text("defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"
                          f"listen stats\n  bind 127.0.0.1:{port}\n  stats enable\n  stats uri /stats\n")
        process = Process("haproxy", ["haproxy", "-f", config], directory)
        self.addCleanup(process.stop)
        theirs = wait_until(lambda: fetch(port, "/stats;csv"), what="HAProxy's statistics").splitlines()[0].split(",")
        ours = fetch(self.proxy.stats_port, "/stats;csv").splitlines()[0].split(",")
        self.assertEqual(ours[-1], "")
        self.assertEqual(ours[:-1], theirs[:len(ours) - 1])


class Rules(unittest.TestCase):
    def promtool(self, *args):
        done = subprocess.run(["promtool", *args], cwd=PROMETHEUS, text=True, timeout=60, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_rules_and_configuration_are_valid(self):
        self.promtool("check", "rules", "fairlead.rules.yml")
        self.promtool("check", "config", "prometheus.yml")

    def test_each_alert_rings_and_is_silent(self):
        self.promtool("test", "rules", "fairlead.rules.test.yml")
        tested = (PROMETHEUS / "fairlead.rules.test.yml").read_text()
        runbook = (PROMETHEUS / "runbook.md").read_text()
        for name in rule_expressions():
            self.assertIn(f"name: {name} rings", tested)
            self.assertIn(f"name: {name} is silent", tested)
            self.assertIn(f'<a id="{name.lower()}"></a>{name} |', runbook)

    def test_the_dashboard_uses_panels_of_today(self):
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertLessEqual({panel["type"] for panel in dashboard["panels"]}, {"stat", "timeseries"})
        self.assertEqual([variable["name"] for variable in dashboard["templating"]["list"]],
                         ["datasource", "instance", "server"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        sources = (ROOT / "deploy/grafana/provisioning/datasources/fairlead.yml").read_text()
        self.assertIn(dashboard["templating"]["list"][0]["current"]["value"], sources)


if __name__ == "__main__":
    unittest.main()
