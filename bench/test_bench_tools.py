"""The arithmetic of the benchmarks: ratios, medians, goals, plots. No server is started."""

import random
import unittest
import xml.dom.minidom

import admin_cost
import compare
import disturbers
import goals
import head_of_line
import measure
import plot
import report
import soak
import soak_clients
import trend
import workloads


def figures(rps, proxy_us=1.0, redis_us=1.0):
    return {"rps": rps, "p50_ms": 1.0, "p99_ms": 2.0, "proxy_us": proxy_us, "redis_us": redis_us}


def latencies(p50, p99):
    return {"p50_us": p50, "p99_us": p99}


def judged(found):
    return {(goal.workload, goal.goal): goal.reached for goal in found}


RESULTS = {"c50-P1 GET": {
    "direct": [figures(100, 0, 6), figures(200, 0, 6), figures(50, 0, 6)],
    "haproxy": [figures(50, 10), figures(100, 10), figures(25, 10)],
    "twemproxy": [figures(80, 8), figures(150, 8), figures(45, 8)],
    "fairlead": [figures(100, 5, 2), figures(190, 6, 2), figures(40, 7, 2)]}}


class Report(unittest.TestCase):
    def row(self, target):
        return next(row for row in report.summarise(RESULTS) if row["target"] == target)

    def test_ratios_are_taken_within_rounds(self):
        self.assertEqual(self.row("fairlead")["rps_to_direct"], (0.95, 0.8, 1.0))
        self.assertEqual(self.row("fairlead")["rps_to_haproxy"], (1.9, 1.6, 2.0))
        self.assertEqual(self.row("fairlead")["rps"], 100)
        self.assertEqual((self.row("fairlead")["rps_min"], self.row("fairlead")["rps_max"]), (40, 190))

    def test_what_has_no_cpu_is_no_divisor(self):
        self.assertIsNone(self.row("fairlead")["proxy_us_to_direct"])

    def test_goals_are_judged_by_their_medians(self):
        reached = judged(goals.judge_closed_loops(report.summarise(RESULTS)))
        self.assertTrue(reached["c50-P1 GET", "throughput >= 1.75 x haproxy"])
        self.assertTrue(reached["c50-P1 GET", "CPU of Redis <= 0.45 x direct"])
        self.assertFalse(reached["c50-P1 GET", "CPU of the proxy <= 0.58 x haproxy"])
        self.assertTrue(reached["c50-P1 GET", "CPU of the proxy <= 0.82 x twemproxy"])

    def test_goals_are_shown_with_their_verdict(self):
        lines = report.goal_lines(goals.judge_closed_loops(report.summarise(RESULTS)))
        self.assertIn("| c50-P1 GET | throughput >= 1.75 x haproxy | 1.90 (1.60-2.00) | yes |", lines)
        self.assertIn("| c50-P1 GET | CPU of the proxy <= 0.58 x haproxy | 0.60 (0.50-0.70) | **no** |", lines)
        self.assertEqual(report.goal_lines([]), [])

    def test_every_goal_has_its_workload(self):
        for name in goals.GOALS:
            self.assertIn("goals", workloads.choose([name], [])[0].sets)


class Goals(unittest.TestCase):
    def test_the_relay_is_compared_with_only_when_it_ran(self):
        name, goal = "c20-512k GET", "CPU of the proxy <= 1.05 x relay"
        results = {name: {"direct": [figures(9, 0)], "haproxy": [figures(5, 200)], "fairlead": [figures(6, 105)]}}
        self.assertNotIn((name, goal), judged(goals.judge_closed_loops(report.summarise(results))))
        for relay_us, reached in ((100, True), (99, False)):
            results[name]["relay"] = [figures(6, relay_us)]
            self.assertIs(judged(goals.judge_closed_loops(report.summarise(results)))[name, goal], reached)

    def test_open_loop_is_judged_within_rounds_and_at_its_rate_only(self):
        seen = {"direct": [latencies(100, 100), latencies(1000, 1000), latencies(10, 10)],
                "fairlead": [latencies(90, 120), latencies(1100, 1100), latencies(9, 12)]}
        found = goals.judge([], {}, seen, 20_000, {}, 0)
        self.assertEqual(judged(found), {("20000/s open loop", "p50 <= 1.0 x direct"): True,
                                         ("20000/s open loop", "p99 <= 1.15 x direct"): False})
        self.assertEqual((found[0].median, found[0].low, found[0].high), (0.9, 0.9, 1.1))
        self.assertEqual(goals.judge([], {}, seen, 10_000, {}, 0), [])
        self.assertEqual(goals.judge([], {}, {}, 0, {}, 0), [])

    def test_idle_memory(self):
        memory = {"fairlead": {"proxy_bytes": 1024, "redis_bytes": 60}, "direct": {"proxy_bytes": None, "redis_bytes": 9700}}
        self.assertEqual(judged(goals.judge_idle_memory(memory, 2000)),
                         {("2000 idle", "memory of the proxy <= 1.0 KB each"): True,
                          ("2000 idle", "memory of Redis <= 0.05 KB each"): False})
        self.assertEqual(goals.judge_idle_memory(memory, 100), [])
        self.assertEqual(goals.judge_idle_memory({}, 2000), [])

    def test_growth_is_relative_to_few_connections_through_the_same(self):
        def steady(*values):
            return [{"steady_us": value} for value in values]
        results = {"c50-P1 GET": {"direct": steady(None, None), "haproxy": steady(10, 20), "fairlead": steady(5, 10)},
                   "c2000-P1 GET": {"direct": steady(None, None), "haproxy": steady(20, 40), "fairlead": steady(4, 12)},
                   "c9000-P1 GET": {"direct": steady(None, None), "haproxy": steady(10, 20), "fairlead": steady(6, 12)}}
        growth = goals.connection_growth(results)
        self.assertEqual(set(growth), {"haproxy", "fairlead"})
        self.assertEqual(growth["haproxy"]["c2000-P1 GET"], (2, 2, 2))
        self.assertEqual(growth["fairlead"]["c2000-P1 GET"], (1.0, 0.8, 1.2))
        text = "CPU of the proxy <= 1.1 x that of 50 connections"
        self.assertEqual(judged(goals.judge_growth(growth)), {("c2000-P1 GET", text): True, ("c9000-P1 GET", text): False})
        self.assertIn("| fairlead | 1.00 (0.80-1.20) | 1.20 (1.20-1.20) |", report.growth_lines(growth))
        del results["c9000-P1 GET"]
        self.assertEqual(goals.connection_growth(results), {})
        self.assertEqual(goals.judge_growth({}) + report.growth_lines({}), [])

    def test_growth_of_a_load_too_short_to_tell_is_not_told(self):
        results = {name: {"fairlead": [{"steady_us": None}]} for name in ("c50-P1 GET", "c2000-P1 GET", "c9000-P1 GET")}
        self.assertEqual(goals.connection_growth(results), {})

    def test_head_of_line_next_to_haproxy(self):
        results = {"alone": {}, "512-kib-values": {"haproxy": [latencies(1000, 3000)] * 2,
                                                   "fairlead": [latencies(500, 2000), latencies(900, 3000)]}}
        self.assertEqual(judged(goals.judge_head_of_line(results)), {("512-kib-values", "p99 <= 1.0 x haproxy"): True,
                                                                    ("512-kib-values", "p50 <= 0.6 x haproxy"): False})
        self.assertEqual(goals.judge_head_of_line({"alone": {}}), [])

    def test_every_disturber_that_is_judged_exists_and_is_explained(self):
        self.assertLessEqual(set(goals.HEAD_OF_LINE_GOALS), set(disturbers.KINDS))
        self.assertEqual(set(head_of_line.NOTES), {*disturbers.KINDS, head_of_line.ALONE})


class SteadyCpu(unittest.TestCase):
    class Load:
        """Ends when as many samples were taken as there are."""

        def __init__(self, samples):
            self.samples = list(samples)

        def poll(self):
            return None if self.samples else 0

    def measure(self, samples, clients=10, requests=1000):
        load = self.Load(samples)
        every, measure.STEADY_EVERY = measure.STEADY_EVERY, 0
        try:
            return measure.steady_cpu(load, lambda: load.samples.pop(0), clients, requests)
        finally:
            measure.STEADY_EVERY = every

    def test_connecting_and_ending_are_not_counted(self):
        # Half a second to connect, 5 us for a request, and another half to close.
        self.assertAlmostEqual(self.measure([(0, 0.4), (100, 0.5), (500, 0.502), (900, 0.504), (1000, 1.0)]), 5)

    def test_a_short_load_tells_nothing(self):
        self.assertIsNone(self.measure([(0, 0), (100, 1), (300, 2), (1000, 9)]))
        self.assertIsNone(self.measure([]))


class Soak(unittest.TestCase):
    def samples(self, slope, noise, minutes=10):
        draw = random.Random(1)
        return [(second, 14_000 + slope * second / 60 + draw.gauss(0, noise)) for second in range(minutes * 60)]

    def test_a_leak_is_found(self):
        line, why = soak.judge(self.samples(slope=100, noise=50), 0, 64, 10)
        self.assertTrue(line.low < 100 < line.high)
        self.assertEqual(why, ["memory grows by more than 64 KiB/min"])

    def test_noise_is_no_leak(self):
        line, why = soak.judge(self.samples(slope=0, noise=50), 0, 64, 10)
        self.assertEqual(why, [])
        self.assertTrue(line.low < 0 < line.high < 64)
        self.assertEqual(soak.verdict(line, why, 64), "passed")
        self.assertIn("not ruled out", soak.verdict(line, why, line.high - 1))

    def test_an_error_fails_it(self):
        self.assertEqual(soak.judge(self.samples(0, 1), 2, 64, 10)[1], ["clients saw 2 errors"])

    def test_what_grows_in_the_warm_up_only_is_no_leak(self):
        samples = [(second, 10_000 + 100 * min(second, 59)) for second in range(600)]
        self.assertEqual(soak.judge(samples, 0, 1, 10)[1], [])
        self.assertEqual((soak.warm_up_of(600), soak.warm_up_of(60)), (60, 12))

    def test_the_line_is_that_of_least_squares(self):
        line = trend.fit([(x, 3 * x + 7) for x in range(20)])
        for value, wanted in zip(line, (3, 3, 3, 7)):
            self.assertAlmostEqual(value, wanted)
        with self.assertRaises(ValueError):
            trend.fit([(1, 1)] * 5)

    def test_steps_have_a_wider_interval_than_noise(self):
        draw = random.Random(2)
        noise = [(x, draw.choice((0, 100))) for x in range(100)]
        steps = [(x, 100 * (x // 10 % 2)) for x in range(100)]
        width = [line.high - line.low for line in (trend.fit(noise), trend.fit(steps))]
        self.assertGreater(width[1], 1.5 * width[0])

    def test_quantiles_of_student(self):
        for freedom, wanted in ((2, 4.303), (4, 2.776), (10, 2.228), (100, 1.984)):
            self.assertAlmostEqual(trend.student(freedom) / wanted, 1, delta=0.04)

    def test_the_interval_holds_the_true_slope_about_as_often_as_it_says(self):
        draw, held = random.Random(3), 0
        for _ in range(200):
            level, points = 0.0, []
            for x in range(200):
                level = 0.5 * level + draw.gauss(0, 1)
                points.append((x, level))
            line = trend.fit(points)
            held += line.low < 0 < line.high
        self.assertGreater(held, 180)

    def test_clients_count_errors_and_live_on(self):
        stop, tally = soak.threading.Event(), soak_clients.Tally()
        lives = []

        def life():
            lives.append(len(lives))
            if len(lives) == 1:
                raise soak_clients.Closed("closed")
            tally.count("kind")
            stop.set()

        soak_clients.live("kind", life, stop, tally)
        self.assertEqual((tally.errors, tally.rounds, len(lives)), (1, {"kind": 1}, 2))
        self.assertEqual(tally.messages, ["kind: Closed closed"])


class AdminCost(unittest.TestCase):
    def test_ratios_are_taken_between_neighbours(self):
        rounds = [{admin_cost.SILENT: {"rps": 100, "control_ms_per_s": 0}, admin_cost.WATCHED: {"rps": 99, "control_ms_per_s": 4}},
                  {admin_cost.SILENT: {"rps": 50, "control_ms_per_s": 2}, admin_cost.WATCHED: {"rps": 49, "control_ms_per_s": 4}}]
        summary = admin_cost.summarise(rounds)
        ratio, low, high = summary["rps"]["ratio"]
        self.assertAlmostEqual(ratio, (0.99 * 0.98) ** 0.5)
        self.assertAlmostEqual(low, 0.98)
        self.assertAlmostEqual(high, 0.99)
        self.assertEqual(summary["rps"]["silent"], 75)
        self.assertEqual(summary["control_ms_per_s"]["ratio"], (2, 2, 2))
        self.assertNotIn("p50_ms", summary)

    def test_the_interval_shrinks_with_the_number_of_pairs(self):
        few, many = admin_cost.interval([0.9, 1.1] * 5), admin_cost.interval([0.9, 1.1] * 500)
        self.assertLess(few[0], many[0])
        self.assertGreater(few[1], many[1])
        self.assertTrue(many[0] < admin_cost.geometric_mean([0.9, 1.1]) < many[1])


class Plot(unittest.TestCase):
    def test_charts_are_well_formed(self):
        for chart in (plot.throughput_chart(RESULTS), plot.cpu_chart(RESULTS, "proxy_us", "CPU <of> the proxy")):
            document = xml.dom.minidom.parseString(chart)
            self.assertEqual(document.documentElement.tagName, "svg")
        self.assertEqual(plot.throughput_chart(RESULTS).count("<title>"), 4)

    def test_every_target_has_a_colour_of_its_own_and_room_in_the_legend(self):
        self.assertEqual(len({plot.COLOURS[target] for target in report.TARGETS}), len(report.TARGETS))
        chart = plot.bar_chart("All", "none", [("c1", [(target, 1, 1, 1) for target in report.TARGETS])])
        places = [float(text.getAttribute("x")) + 7 * len(text.firstChild.data)
                  for text in xml.dom.minidom.parseString(chart).getElementsByTagName("text")
                  if text.firstChild.data in report.TARGETS]
        self.assertEqual(len(places), len(report.TARGETS))
        self.assertLess(max(places), plot.WIDTH)

    def test_memory_over_time(self):
        for points in ([(minute, 14_000 + minute) for minute in range(20)], [(minute, 5000) for minute in range(20)]):
            chart = plot.trend_chart("Memory <of> it", points, trend.fit(points), 1)
            document = xml.dom.minidom.parseString(chart)
            line = document.getElementsByTagName("polyline")[0].getAttribute("points").split()
            self.assertEqual(len(line), 20)
            for point in line:
                x, y = (float(part) for part in point.split(","))
                self.assertTrue(plot.LEFT <= x <= plot.WIDTH and plot.TOP <= y <= 340)

    def test_grid_has_round_distances(self):
        self.assertEqual([plot.nice_step(value) for value in (1, 2.5, 40, 7)], [0.2, 0.5, 10, 2])


class StoredValues(unittest.TestCase):
    def test_who_only_reads_finds_values_of_its_own(self):
        small, large = workloads.choose(["c50-1k", "c20-1m"], ())
        both = workloads.choose(["c20-512k"], ())[0]
        stored = compare.StoredValues()
        self.assertTrue(stored.must_be_set_for(small, "GET"))
        self.assertFalse(stored.must_be_set_for(small, "GET"))
        self.assertTrue(stored.must_be_set_for(large, "GET"))
        self.assertTrue(stored.must_be_set_for(small, "GET"), "the large ones were set since")
        self.assertFalse(stored.must_be_set_for(both, "SET"))
        self.assertFalse(stored.must_be_set_for(both, "GET"))
        self.assertTrue(stored.must_be_set_for(small, "GET"))


class Workloads(unittest.TestCase):
    def test_names_and_sets(self):
        names = [workload.name for workload in workloads.WORKLOADS]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([workload.name for workload in workloads.choose(["c50-P1"], ["sizes"])], ["c50-P1"])
        self.assertTrue(all({*workload.sets, *workload.get_sets} <= set(workloads.SETS) for workload in workloads.WORKLOADS))
        with self.assertRaisesRegex(SystemExit, "no workload nonsense"):
            workloads.choose(["nonsense"], [])

    def test_the_connections_begin_with_few(self):
        tests = {workload.name: workload.tests for workload in workloads.choose(None, ["connections"])}
        self.assertEqual(tests["c50-P1"], ("GET",))
        names = [f"{name} {test}" for name in tests for test in tests[name]]
        self.assertLessEqual({goals.GROWTH_BASE, *goals.GROWTH_STEPS}, set(names))
        self.assertTrue(goals.measures_growth(names))
        both = {workload.name: workload.tests for workload in workloads.choose(None, ["connections", "goals"])}
        self.assertEqual(both["c50-P1"], ("SET", "GET"))
        self.assertFalse(goals.measures_growth([f"{name} GET" for name in both if name != "c9000-P1"]))


if __name__ == "__main__":
    unittest.main()
