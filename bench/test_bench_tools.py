"""The arithmetic of the benchmarks: ratios, medians, goals, plots. No server is started."""

import unittest
import xml.dom.minidom

import admin_cost
import goals
import plot
import report
import workloads


def figures(rps, proxy_us=1.0, redis_us=1.0):
    return {"rps": rps, "p50_ms": 1.0, "p99_ms": 2.0, "proxy_us": proxy_us, "redis_us": redis_us}


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
        judged = {goal: reached for _, goal, *_, reached in goals.judge_closed_loops(report.summarise(RESULTS))}
        self.assertTrue(judged["throughput >= 1.75 x haproxy"])
        self.assertTrue(judged["CPU of Redis <= 0.45 x direct"])
        self.assertFalse(judged["CPU of the proxy <= 0.58 x haproxy"])
        self.assertTrue(judged["CPU of the proxy <= 0.82 x twemproxy"])

    def test_every_goal_has_its_workload(self):
        for name in goals.GOALS:
            self.assertIn("goals", workloads.choose([name], [])[0].sets)


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

    def test_grid_has_round_distances(self):
        self.assertEqual([plot.nice_step(value) for value in (1, 2.5, 40, 7)], [0.2, 0.5, 10, 2])


class Workloads(unittest.TestCase):
    def test_names_and_sets(self):
        names = [workload.name for workload in workloads.WORKLOADS]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([workload.name for workload in workloads.choose(["c50-P1"], ["sizes"])], ["c50-P1"])
        self.assertTrue(all(set(workload.sets) <= set(workloads.SETS) for workload in workloads.WORKLOADS))
        with self.assertRaisesRegex(SystemExit, "no workload nonsense"):
            workloads.choose(["nonsense"], [])


if __name__ == "__main__":
    unittest.main()
