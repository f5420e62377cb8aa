"""The stats page in a real browser, before a running set: what it shows, that it follows a failover, and who may act.

Screenshots for review are written to FAIRLEAD_SCREENSHOTS, or to build/screenshots.
"""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import threading
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from harness import ROOT, TestCase, wait_until
from resp_client import Closed, ReplyError

SCREENSHOTS = pathlib.Path(os.environ.get("FAIRLEAD_SCREENSHOTS") or ROOT / "build" / "screenshots")
PASSWORD = "page-secret"
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-prefers-reduced-motion")


def request(proxy, path, method="GET", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.stats_port, timeout=10)
    try:
        connection.request(method, path, headers=LOGIN if headers is None else headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


def status(proxy):
    return json.loads(request(proxy, "/api/v1/status")[1])


def browser(directory):
    options = webdriver.ChromeOptions()
    for flag in FLAGS + (f"--user-data-dir={directory}",):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(60)
    return driver


class Page(TestCase):
    @classmethod
    def start_servers(cls):
        # The page asks once a second: an outage is to last for several of its questions, also on a busy machine.
        cls.set = cls.redis_set(replicas=2, sentinels=3, down_after_ms=3000)
        secret = pathlib.Path(cls.directory) / "stats-password"
        secret.write_text(PASSWORD + "\n")
        cls.proxy = cls.shared_fairlead(cls.set, "--stats-user", "admin", "--stats-password-file", secret, "--stats-admin")
        cls.ending = threading.Event()
        cls.addClassCleanup(cls.ending.set)
        for number in range(4):
            threading.Thread(target=cls.work, args=(number,), daemon=True).start()
        profile = tempfile.mkdtemp(prefix="fairlead-browser-")  # not among the logs that a failure prints
        cls.addClassCleanup(shutil.rmtree, profile, ignore_errors=True)
        cls.driver = browser(profile)
        cls.addClassCleanup(cls.driver.quit)

    @classmethod
    def work(cls, number):
        """A client that goes on until the end; a value is large, and a key is hot."""
        with cls.proxy.client(60) as client:
            client.command("CLIENT", "SETNAME", f"web-{number}<b>&amp;</b>")
            client.command("SET", "report:large", "x" * 40000)
            while not cls.ending.wait(0.003):
                try:
                    client.command("INCR", "counter:hot")
                    client.command("GET", f"user:{number}")
                except ReplyError:
                    pass  # no master for too long on a busy machine: the page is to show that, too
                except Closed:
                    if cls.ending.is_set():
                        return
                    raise

    def open_page(self, path="/", scheme="light", width=1400, height=1000):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.get(f"http://admin:{PASSWORD}@127.0.0.1:{self.proxy.stats_port}{path}")
        wait_until(lambda: self.text("verdict-word") == "Healthy.", 30, "the page to show a healthy set")

    def text(self, element):
        return self.driver.find_element(By.ID, element).text

    def rows(self, table):
        """All cells of a table, read at one moment."""
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll(arguments[0]), r => Array.from(r.cells, c => c.textContent))",
            f"#{table} tbody tr")

    def failover_rows(self):
        return [row for row in self.rows("failovers") if row[1] == "failover"]

    def screenshot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the browser's console says, violations of the content policy among it."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def test_1_shows_the_real_numbers(self):
        self.open_page()
        self.assertEqual(self.text("tile-master"), self.set.master().address)
        wait_until(lambda: status(self.proxy)["history"][-1]["commands"] > 10, timeout=30, what="a second with load")
        wait_until(lambda: self.text("tile-load").endswith("/s") and self.text("tile-load") != "0/s", what="the load")
        self.assertEqual({row[0] for row in self.rows("servers")}, {server.address for server in self.set.servers})
        self.assertEqual(len(self.rows("sentinels")), 3)
        self.assertEqual({row[2] for row in self.rows("sentinels")}, {self.set.master().address})
        self.assertEqual([row[0] for row in self.rows("haproxy")][0], "FRONTEND")
        self.assertEqual(len(self.rows("haproxy")), 2 + len(self.set.servers))
        wait_until(lambda: {"incr", "get"} <= {row[0] for row in self.rows("commands")}, what="commands by name")
        wait_until(lambda: [row for row in self.rows("hot") if row[0] == "counter:hot"], 30, "the hot key")
        self.assertIn("report:large", [row[0] for row in self.rows("big")])
        wait_until(lambda: len(self.rows("clients")) >= 4, what="the clients")
        names = {name for row in self.rows("clients") for name in row[2:3]}
        self.assertIn("web-1<b>&amp;</b>", names, "a name is shown as it is, not as markup")
        self.assertEqual(self.driver.find_elements(By.CSS_SELECTOR, "#clients b"), [])
        self.assertEqual(self.complaints(), [])

    def test_2_numbers_change_without_new_rows(self):
        self.open_page()
        wait_until(lambda: [row for row in self.rows("commands") if row[0] == "incr"], what="INCR in the table")
        self.driver.execute_script("document.querySelector('#commands tbody tr[data-key=incr]').dataset.seen = 'yes'")
        before = next(row for row in self.rows("commands") if row[0] == "incr")[2]
        wait_until(lambda: next(row for row in self.rows("commands") if row[0] == "incr")[2] != before, timeout=30, what="the count to grow")
        self.assertEqual(self.driver.execute_script(
            "return document.querySelector('#commands tbody tr[data-key=incr]').dataset.seen"), "yes")
        self.assertGreater(len(self.driver.find_element(By.CSS_SELECTOR, "#chart-commands .line").get_attribute("d")), 20)

    def test_3_norefresh_and_up(self):
        self.open_page("/haproxy_stats;norefresh;up")
        button = self.driver.find_element(By.ID, "refresh")
        self.assertEqual((button.text, button.get_attribute("aria-pressed")), ("Stopped", "false"))
        uptime = self.text("uptime")
        button.click()
        wait_until(lambda: self.text("uptime") != uptime, what="the page to go on after a click")

    def test_4_keyboard_and_names(self):
        """Every table region can be reached and has a name; nothing that can be pressed is without one."""
        self.open_page()
        self.assertEqual(self.driver.execute_script("return document.documentElement.lang"), "en")
        unnamed = self.driver.execute_script("""
            return Array.from(document.querySelectorAll('button, a, [role=region], svg[role=img]')).filter(e =>
              !(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))).length""")
        self.assertEqual(unnamed, 0)
        for region in self.driver.find_elements(By.CSS_SELECTOR, ".scroll"):
            self.assertEqual(region.get_attribute("tabindex"), "0")
        self.assertEqual(self.driver.find_element(By.ID, "verdict").get_attribute("aria-live"), "polite")

    def test_5_an_operator_closes_a_client(self):
        client = self.open(self.proxy.port)
        client.command("CLIENT", "SETNAME", "to-be-closed")
        client.command("GET", "x")
        self.open_page()

        def find():
            return [row for row in self.rows("clients") if "to-be-closed" in row]
        wait_until(find, what="the client to be listed")
        key = find()[0][0]
        button = self.driver.find_element(By.CSS_SELECTOR, f"#clients tr[data-key='{key}'] button")
        self.driver.execute_script("window.confirm = () => true; arguments[0].click()", button)
        wait_until(lambda: "was closed" in self.text("action-result"), what="the page to say that it was done")
        wait_until(lambda: not find(), what="the client to leave the table")
        self.assertEqual(client.read_until_closed(), b"")

    def press(self, element):
        """Clicks a button and says yes to the question."""
        self.driver.execute_script("window.asked = ''; window.confirm = text => { window.asked = text; return true; };"
                                   "document.getElementById('action-result').textContent = ''; arguments[0].click()", element)
        wait_until(lambda: self.text("action-result") not in ("", "…"), what="the page to say what became of it")
        self.assertNotEqual(self.driver.execute_script("return window.asked"), "", "an action without a question")
        return self.text("action-result")

    def action(self, name):
        return self.driver.find_element(By.ID, f"act-{name}")

    def test_5b_an_operator_says_no(self):
        self.open_page()
        self.driver.execute_script("window.confirm = () => false; arguments[0].click()", self.action("pause"))
        self.assertFalse(status(self.proxy)["operator"]["paused"]["given"])

    def test_5c_an_operator_pauses_and_resumes(self):
        self.open_page()
        self.assertIn("Done: paused", self.press(self.action("pause")))
        self.addCleanup(self.proxy.process.signal, signal.SIGUSR2)
        wait_until(lambda: self.text("verdict-word") == "Not serving.", what="the page to show the pause")
        self.assertIn("Paused by admin at 127.0.0.1 (page)", self.text("verdict-text"))
        self.assertIn("Paused for", self.text("orders"))
        wait_until(lambda: status(self.proxy)["summary"]["held"] > 0, what="clients to wait")
        wait_until(lambda: self.action("pause").text == "Resume", what="the other button")
        self.assertIn("Done: resumed", self.press(self.action("pause")))
        wait_until(lambda: self.text("verdict-word") == "Healthy.", what="the page to be content again")
        wait_until(lambda: status(self.proxy)["summary"]["held"] == 0, what="clients to go on")

    def test_5d_an_operator_drains_and_takes_it_back(self):
        self.open_page()
        self.assertIn("Done: drained", self.press(self.action("drain")))
        self.assertEqual(request(self.proxy, "/readyz")[0], 503)
        self.assertEqual(request(self.proxy, "/healthz")[0], 200)
        wait_until(lambda: "drained, by admin at 127.0.0.1 (page)" in self.text("verdict-text"), what="who drained it")
        wait_until(lambda: self.action("drain").text == "Ready", what="the other button")
        self.assertIn("Done: ready", self.press(self.action("drain")))
        self.assertEqual(request(self.proxy, "/readyz")[0], 200)

    def test_5e_maintenance_of_a_replica(self):
        self.open_page()
        replica = self.set.others(self.set.master())[0]

        def button():
            return self.driver.find_element(By.CSS_SELECTOR, f"#servers tr[data-key='{replica.address}'] button")
        self.assertEqual(self.driver.find_elements(
            By.CSS_SELECTOR, f"#servers tr[data-key='{self.set.master().address}'] button"), [], "the master has no MAINT")
        self.assertIn("is maint now", self.press(button()))
        wait_until(lambda: button().text == "Ready", what="the other button")
        row = next(row for row in self.rows("haproxy") if row[0] == replica.address)
        self.assertTrue(any("MAINT" in cell for cell in row), row)
        self.assertIn("is ready now", self.press(button()))
        wait_until(lambda: button().text == "Maint", what="the first button")

    def test_5f_reload_tells_what_became_of_it(self):
        self.open_page()
        self.assertIn("Done: the configuration was read again: 0 changed, 0 not", self.press(self.action("reload")))

    def test_5g_who_may_not_act_sees_no_buttons(self):
        proxy = self.fairlead(self.set, "--vrrp-address", "127.0.0.1").wait_ready()
        self.addCleanup(self.driver.get, "about:blank")  # or the page goes on asking when this one has ended
        self.driver.get(f"http://127.0.0.1:{proxy.stats_port}/")
        wait_until(lambda: self.text("verdict-word") == "Healthy.", 30, "the page to show a healthy set")
        self.assertFalse(self.action("failover").is_displayed())
        self.assertTrue(self.driver.find_element(By.ID, "pair").is_displayed(), "this one is in a pair")
        wait_until(lambda: [row[:3] for row in self.rows("vrrp")][:1] == [["Address", "127.0.0.1", "here"]], what="the address")
        self.assertEqual([row[2] for row in self.rows("vrrp") if row[0] == "This instance"], ["fit"])
        origin = f"http://127.0.0.1:{proxy.stats_port}"
        self.assertNotIn("token", status(proxy))
        for name in ("pause", "failover", "drain", "reload"):
            code, body, _ = request(proxy, f"/api/v1/actions/{name}", "POST", {"Origin": origin, "X-CSRF-Token": "0" * 32})
            self.assertEqual(code, 403)
            self.assertIn("set admin = true", body)

    def test_6_actions_are_refused_without_token_or_origin(self):
        origin = f"http://127.0.0.1:{self.proxy.stats_port}"
        token = status(self.proxy)["token"]
        victim = status(self.proxy)["clients"][0]["id"]
        path = f"/api/v1/actions/kill?client={victim}"
        for headers in ({**LOGIN, "Origin": origin}, {**LOGIN, "X-CSRF-Token": token},
                        {**LOGIN, "X-CSRF-Token": token, "Origin": "http://evil.example"},
                        {**LOGIN, "X-CSRF-Token": "0" * 32, "Origin": origin}):
            self.assertEqual(request(self.proxy, path, "POST", headers)[0], 403, headers)
        self.assertEqual(request(self.proxy, path, "POST", {"X-CSRF-Token": token, "Origin": origin})[0], 401)
        self.assertEqual(request(self.proxy, path, "GET")[0], 405)
        for name in ("pause", "resume", "failover", "drain", "ready", "reload", "maint?server=x", "nonsense"):
            self.assertEqual(request(self.proxy, f"/api/v1/actions/{name}", "POST", {**LOGIN, "Origin": origin})[0], 403)
        operator = status(self.proxy)["operator"]
        self.assertFalse(operator["paused"]["given"] or operator["drained"]["given"])
        granted = {**LOGIN, "X-CSRF-Token": token, "Origin": origin}
        self.assertEqual(request(self.proxy, "/api/v1/actions/nonsense", "POST", granted)[0], 404)
        self.assertEqual(request(self.proxy, "/api/v1/actions/maint", "POST", granted)[0], 400)
        code, body, _ = request(self.proxy, f"/api/v1/actions/maint?server={self.set.master().address}", "POST", granted)
        self.assertEqual(code, 409)
        self.assertIn("FAILOVER makes a replica the master first", json.loads(body)["error"])
        self.assertIn(victim, [client["id"] for client in status(self.proxy)["clients"]])

    def test_7_login_headers_and_bad_requests(self):
        self.assertEqual(request(self.proxy, "/", headers={})[0], 401)
        self.assertEqual(request(self.proxy, "/api/v1/status", headers={})[0], 401)
        self.assertEqual(request(self.proxy, "/healthz", headers={})[0], 200)
        code, _, headers = request(self.proxy, "/")
        self.assertEqual(code, 200)
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(request(self.proxy, "/", "PUT")[0], 405)
        self.assertEqual(request(self.proxy, "/nothing")[0], 404)
        for raw, expected in ((b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
                              (b"nonsense\r\n\r\n", b"400"),
                              (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413")):
            with socket.create_connection(("127.0.0.1", self.proxy.stats_port), 10) as connection:
                connection.sendall(raw)
                self.assertEqual(connection.recv(4096).split(b" ")[1], expected)

    def test_8_api_parts(self):
        for part in ("summary", "haproxy", "servers", "sentinels", "failovers", "commands", "slow", "hot", "big", "clients",
                     "events", "counters", "history", "links", "latency", "vrrp", "operator"):
            code, body, headers = request(self.proxy, f"/api/v1/{part}")
            self.assertEqual((code, headers["Content-Type"]), (200, "application/json"))
            json.loads(body)
        self.assertEqual(request(self.proxy, "/api/v1/none")[0], 404)

    def test_9_follows_a_failover(self):
        self.open_page()
        self.assertEqual(self.text("tile-failover"), "none")
        old = self.set.master()
        old.process.kill()
        wait_until(lambda: self.text("verdict-word") == "Not serving.", 20, "the page to show that there is no master")
        self.screenshot("failover-under-way")
        new = self.set.wait_for_other_master(old)
        wait_until(lambda: self.text("tile-master") == new.address, 20, "the page to show the new master")
        wait_until(lambda: "ago, pause" in self.text("tile-failover"), what="the failover's pause")
        # Interruptions may stand beside it: a starved machine lets fairlead itself stand still.
        wait_until(lambda: self.failover_rows(), what="the failover in the timeline")
        row = self.failover_rows()[0]
        self.assertEqual((row[2], row[3]), (old.address, new.address))
        truth = next(f for f in status(self.proxy)["failovers"] if f["kind"] == "failover")
        self.assertGreater(truth["until_released_ms"], 0)
        self.assertGreater(truth["held"], 0)
        self.assertIn(old.address, truth["cause"])
        self.assertIn("Attention.", self.text("verdict-word"), "one server is down now")
        self.assertEqual(self.driver.find_element(By.ID, "pair").is_displayed(), False, "this one is not in a pair")

        def story():
            told = rf'"(outage|failover) {truth["id"]}: .*event=outage'
            return [line for line in self.proxy.process.log().splitlines() if re.search(told, line)]

        wait_until(lambda: len(story()) >= 5, what="what the failover has cost, on the log")
        self.assertEqual(len(story()), 5, story())
        old.start()
        wait_until(lambda: self.text("verdict-word") == "Healthy.", 40, "the page to be content again")
        self.ask_for_a_failover()
        for name, scheme, width, height in (("light", "light", 1400, 1000), ("dark", "dark", 1400, 1000),
                                            ("phone", "light", 390, 1400), ("whole", "light", 1400, 3000)):
            self.open_page(scheme=scheme, width=width, height=height)
            wait_until(lambda: len(self.failover_rows()) >= 2 and len(self.rows("clients")) >= 4, what="all tables")
            overflow = self.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            self.assertLessEqual(overflow, 0, f"the page is wider than the window ({name})")
            self.screenshot(name)
        self.assertEqual(self.complaints(), [])

    def ask_for_a_failover(self):
        """Sentinel refuses as long as the last failover is not finished, and its own words are shown."""
        old = self.set.master()
        refused = []

        def accepted():
            answer = self.press(self.action("failover"))
            if "begins the failover" in answer:
                return True
            refused.append(answer)
            return False
        wait_until(accepted, 40, "Sentinel to accept the failover")
        for answer in refused:
            self.assertRegex(answer, "Not done: 127.0.0.1:[0-9]+ says: (INPROG|NOGOODSLAVE)")
        new = self.set.wait_for_other_master(old)
        wait_until(lambda: self.text("tile-master") == new.address, 20, "the page to show the new master")
        wait_until(lambda: self.text("verdict-word") == "Healthy.", 40, "the page to be content again")
        self.driver.execute_script("document.getElementById('action-result').textContent = ''")


if __name__ == "__main__":
    unittest.main()
