// Fit or unfit, from local facts; and what is told of it.
#include "vrrp/verdict.hpp"

#include <catch2/catch.hpp>

#include "vrrp/status.hpp"

namespace fairlead::vrrp {
namespace {

using std::chrono::milliseconds;

LocalFacts healthy() {
  LocalFacts facts;
  facts.phase = Phase::serving;
  facts.listeners_wanted = 2;
  facts.workers = {{milliseconds(0), 2}, {milliseconds(100), 2}};
  return facts;
}

TEST_CASE("fit while every loop turns and every listener accepts") {
  CHECK(judge(healthy()).fit);
  CHECK(judge(healthy()).reason.empty());
}

TEST_CASE("each local fault alone makes it unfit, with its reason") {
  LocalFacts facts = healthy();
  facts.phase = Phase::starting;
  CHECK(judge(facts).reason == "starting: the listeners are not open yet");
  facts.phase = Phase::leaving;
  facts.leaving_reason = "draining";
  CHECK_FALSE(judge(facts).fit);
  CHECK(judge(facts).reason == "draining");

  facts = healthy();
  facts.workers[1].silence = silence_max;
  CHECK(judge(facts).fit);
  facts.workers[1].silence += milliseconds(1);
  CHECK(judge(facts).reason == "worker 1 has not turned its loop for 2001 ms");
  CHECK(standing_still(facts) == judge(facts).reason);

  facts = healthy();
  facts.workers[0].listeners_open = 1;
  CHECK(judge(facts).reason == "worker 0 accepts clients on 1 of 2 listeners");
  CHECK(standing_still(facts).empty());
}

TEST_CASE("a process that leaves still turns: the watchdog is not told otherwise") {
  LocalFacts facts = healthy();
  facts.phase = Phase::leaving;
  CHECK(standing_still(facts).empty());
}

TEST_CASE("the status names a ready-file that somebody else wrote") {
  Status status;
  status.fit = true;
  status.ready_file = "/run/x/ready";
  status.ready_value = "0";
  const auto verdict = [&] {
    for (const auto& [name, value] : describe(status)) {
      if (name == "verdict") return value;
    }
    return std::string();
  };
  CHECK(verdict() == "fit");
  status.ready_value = "1";
  CHECK(verdict() == "fit; the ready-file says 1, written by somebody else");
  status.fit = false;
  status.reason = "draining";
  CHECK(verdict() == "unfit: draining");
}

TEST_CASE("metrics: one state is 1, all others 0") {
  Status status;
  status.state = State::master;
  status.losses = 3;
  const std::string text = render_metrics(status);
  CHECK(text.find("fairlead_vrrp_state{state=\"master\"} 1\n") != std::string::npos);
  CHECK(text.find("fairlead_vrrp_state{state=\"backup\"} 0\n") != std::string::npos);
  CHECK(text.find("# TYPE fairlead_vrrp_losses_total counter\nfairlead_vrrp_losses_total 3\n") !=
        std::string::npos);
}

}  // namespace
}  // namespace fairlead::vrrp
