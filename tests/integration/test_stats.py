"""The stats listener: /healthz, /readyz and /metrics over HTTP, with the true state behind them."""

import http.client
import re
import unittest

from harness import TestCase, free_port, wait_until

SAMPLE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"'
                    r'(,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*")*\})? (NaN|[+-]Inf|-?[0-9.]+(e[+-]?[0-9]+)?)$')


def get(proxy, path, method="GET"):
    """Status, body and content type of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.stats_port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheader("Content-Type", "")
    finally:
        connection.close()


def metrics(proxy):
    """All samples by name and labels."""
    status, body, _ = get(proxy, "/metrics")
    assert status == 200, body
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in body.splitlines() if line and not line.startswith("#")}


class Stats(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=3)
        cls.proxy = cls.shared_fairlead(cls.set)

    def test_healthy_and_ready(self):
        for path in ("/healthz", "/readyz"):
            status, body, _ = get(self.proxy, path)
            self.assertEqual(status, 200, f"{path}: {body}")

    def test_unknown_path_and_method(self):
        self.assertEqual(get(self.proxy, "/no-such-page")[0], 404)
        self.assertEqual(get(self.proxy, "/metrics", "DELETE")[0], 405)
        status, body, _ = get(self.proxy, "/metrics", "HEAD")
        self.assertEqual((status, body), (200, ""))

    def test_metrics_are_prometheus_text(self):
        status, body, content_type = get(self.proxy, "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(content_type.startswith("text/plain; version=0.0.4"), content_type)
        self.assertTrue(body.endswith("\n"))
        described = set()
        for line in body.splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                self.assertNotIn(name, described, "described twice")
                described.add(name)
            elif line and not line.startswith("#"):
                self.assertRegex(line, SAMPLE)
                name = re.split(r"[{ ]", line)[0]
                self.assertTrue(name.startswith("fairlead_") or name.startswith("process_"), name)
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                self.assertTrue(name in described or base in described, f"{name} has no TYPE")
        self.assertIn("fairlead_build_info", described)

    def test_metrics_count_commands(self):
        def counted():
            return sum(value for name, value in metrics(self.proxy).items() if "_commands_total" in name)

        before = counted()
        client = self.open(self.proxy.port)
        for number in range(100):
            client.command("SET", "counted", number)
        wait_until(lambda: counted() >= before + 100, what="a hundred commands to be counted")

    def test_health_without_a_master(self):
        """A node without a master is healthy, or the address of a pair would vanish; but it is not ready."""
        proxy = self.fairlead(["--server", f"127.0.0.1:{free_port()}"]).wait_listening()
        wait_until(lambda: get(proxy, "/healthz")[0] == 200, what="/healthz to be fine")
        status, body, _ = get(proxy, "/readyz")
        self.assertEqual(status, 503)
        self.assertIn("master", body)


if __name__ == "__main__":
    unittest.main()
