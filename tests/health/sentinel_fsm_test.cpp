#include "health/sentinel_fsm.hpp"

#include <catch2/catch.hpp>

#include "tests/health/machine_steps.hpp"

using namespace fairlead::health;
using News = SentinelFsm::News;
using Channel = SentinelFsm::Channel;
namespace resp = fairlead::resp;

namespace {

resp::Value master_fields(const std::string& epoch, const std::string& flags, const std::string& state = "") {
  std::vector<std::string> fields{"name", "mymaster", "ip", "127.0.0.1", "port", "7000", "flags", flags};
  if (!state.empty()) fields.insert(fields.end(), {"failover-state", state});
  fields.insert(fields.end(), {"config-epoch", epoch});
  return bulks(fields);
}

struct Connected {
  SentinelFsm::Actions out;
  SentinelFsm fsm{Options{}};

  Connected() {
    fsm.start(at(0), out);
    CHECK(take(out.command) == Lines{"connect"});
    CHECK(take(out.subscription) == Lines{"connect"});
    CHECK(fsm.on_connected(Channel::subscription, at(1), out) == News::none);
    CHECK(take(out.subscription) == Lines{"PSUBSCRIBE *"});
    CHECK(fsm.on_connected(Channel::command, at(1), out) == News::none);
    CHECK(take(out.command) == Lines{"SENTINEL MASTER mymaster", "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                                     "INFO sentinel", "SENTINEL MYID", "SENTINEL REPLICAS mymaster",
                                     "SENTINEL SENTINELS mymaster"});
  }
  News command(const resp::Value& reply, int ms) {
    return fsm.on_reply(Channel::command, reply, at(ms), out);
  }
  News push(const std::string& channel, const std::string& payload, int ms) {
    return fsm.on_reply(Channel::subscription, bulks({"pmessage", "*", channel, payload}), at(ms), out);
  }
  void first_poll(int ms) {
    CHECK(command(master_fields("3", "master"), ms) == News::none);
    CHECK(command(bulks({"127.0.0.1", "7000"}), ms) == News::none);
    CHECK(command(resp::make_bulk("# Sentinel\r\nsentinel_tilt:0\r\n"), ms) == News::none);
    CHECK(command(resp::make_bulk("id-one"), ms) == News::none);
    CHECK(command(
              resp::make_array({bulks({"ip", "127.0.0.1", "port", "7001"}), bulks({"ip", "", "port", "0"})}),
              ms) == News::none);
    CHECK(command(resp::make_array({bulks({"ip", "127.0.0.1", "port", "26380", "runid", "id-two"})}), ms) ==
          News::report);
  }
  // The short poll of the fast pace: without the lists.
  News short_poll(const resp::Value& master, const resp::Value& address, int ms) {
    CHECK(command(master, ms) == News::none);
    CHECK(command(address, ms) == News::none);
    return command(resp::make_bulk("sentinel_tilt:0\r\n"), ms);
  }
};

}  // namespace

TEST_CASE("a poll reports the vote and what the Sentinel knows", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  const auto& report = sentinel.fsm.report();
  CHECK(report.usable());
  CHECK(report.vote == local(7000));
  CHECK(report.watching == local(7000));
  CHECK(report.config_epoch == 3);
  CHECK(report.run_id == "id-one");
  CHECK(report.replicas == std::vector<resp::Address>{local(7001)});
  CHECK(report.peers == std::vector<SentinelPeer>{{local(26380), "id-two"}});
  CHECK(report.asked_at == at(1));
  CHECK(sentinel.fsm.deadline() == at(1001));
}

TEST_CASE("flags and the failover's state become an election stage", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  struct Row {
    const char* flags;
    const char* state;
    ElectionStage stage;
  };
  const auto row =
      GENERATE(Row{"master", "", ElectionStage::none}, Row{"s_down,o_down,master", "", ElectionStage::none},
               Row{"master,failover_in_progress", "wait_start", ElectionStage::candidate},
               Row{"master,failover_in_progress", "select_slave", ElectionStage::elected},
               Row{"failover_in_progress,master", "wait_promotion", ElectionStage::elected},
               Row{"master,failover_in_progress", "reconf_slaves", ElectionStage::none},
               Row{"master,failover_in_progress", "update_config", ElectionStage::none});
  sentinel.fsm.poll_now(at(10), sentinel.out);
  CHECK(sentinel.short_poll(master_fields("3", row.flags, row.state), bulks({"127.0.0.1", "7000"}), 11) ==
        News::report);
  CHECK(sentinel.fsm.report().election == row.stage);
  CHECK(sentinel.fsm.report().objectively_down ==
        (std::string(row.flags).find("o_down") != std::string::npos));
}

TEST_CASE("a leader that is reconfiguring names the promoted node with the new epoch", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  sentinel.fsm.poll_now(at(10), sentinel.out);
  const auto master = master_fields("4", "master,failover_in_progress", "reconf_slaves");
  CHECK(sentinel.short_poll(master, bulks({"127.0.0.1", "7001"}), 11) == News::report);
  CHECK(sentinel.fsm.report().vote == local(7001));
  CHECK(sentinel.fsm.report().watching == local(7000));
  CHECK(sentinel.fsm.report().config_epoch == 4);
}

TEST_CASE("announcements are reported at once and make the machine poll", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  take(sentinel.out.command);
  SECTION("switch") {
    CHECK(sentinel.push("+switch-master", "mymaster 127.0.0.1 7000 127.0.0.1 7001", 10) == News::report);
    CHECK(sentinel.fsm.report().announced == local(7001));
    CHECK(sentinel.fsm.report().vote == local(7000));
    CHECK(take(sentinel.out.command).front() == "SENTINEL MASTER mymaster");
    CHECK(sentinel.short_poll(master_fields("4", "master"), bulks({"127.0.0.1", "7001"}), 11) ==
          News::report);
    CHECK(sentinel.fsm.report().announced.host.empty());
    CHECK(sentinel.fsm.report().vote == local(7001));
  }
  SECTION("election") {
    CHECK(sentinel.push("+try-failover", "master mymaster 127.0.0.1 7000", 10) == News::report);
    CHECK(sentinel.fsm.report().election == ElectionStage::candidate);
    CHECK(sentinel.push("+selected-slave", "slave 127.0.0.1:7001 127.0.0.1 7001 @ mymaster 127.0.0.1 7000",
                        11) == News::report);
    CHECK(sentinel.fsm.report().election == ElectionStage::elected);
  }
  SECTION("down") {
    CHECK(sentinel.push("+sdown", "master mymaster 127.0.0.1 7000", 10) == News::report);
    CHECK(sentinel.fsm.report().subjectively_down);
    CHECK(sentinel.push("+odown", "master mymaster 127.0.0.1 7000 #quorum 2/2", 10) == News::report);
    CHECK(sentinel.fsm.report().objectively_down);
  }
  SECTION("a replica's trouble is not the master's") {
    CHECK(sentinel.push("+sdown", "slave 127.0.0.1:7001 127.0.0.1 7001 @ mymaster 127.0.0.1 7000", 10) ==
          News::none);
    CHECK_FALSE(sentinel.fsm.report().subjectively_down);
    CHECK_FALSE(take(sentinel.out.command).empty());
  }
  SECTION("another master is not ours") {
    CHECK(sentinel.push("+try-failover", "master other 127.0.0.1 7100", 10) == News::none);
    CHECK(sentinel.push("+switch-master", "other 127.0.0.1 7100 127.0.0.1 7101", 10) == News::none);
    CHECK(take(sentinel.out.command).empty());
  }
  SECTION("TILT") {
    CHECK(sentinel.push("+tilt", "#tilt mode entered", 10) == News::report);
    CHECK_FALSE(sentinel.fsm.report().usable());
    CHECK(sentinel.short_poll(master_fields("3", "master"), bulks({"127.0.0.1", "7000"}), 11) ==
          News::report);
    CHECK(sentinel.fsm.report().usable());
  }
}

TEST_CASE("a poll sent before an announcement does not take it back", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  sentinel.fsm.poll_now(at(10), sentinel.out);
  take(sentinel.out.command);
  CHECK(sentinel.push("+try-failover", "master mymaster 127.0.0.1 7000", 11) == News::report);
  CHECK(sentinel.short_poll(master_fields("3", "master"), bulks({"127.0.0.1", "7000"}), 12) == News::report);
  CHECK(sentinel.fsm.report().election == ElectionStage::candidate);
  CHECK(take(sentinel.out.command).front() == "SENTINEL MASTER mymaster");
  CHECK(sentinel.short_poll(master_fields("3", "master"), bulks({"127.0.0.1", "7000"}), 13) == News::report);
  CHECK(sentinel.fsm.report().election == ElectionStage::none);
}

TEST_CASE("an unknown name is told with the names that are known", "[sentinel]") {
  Connected sentinel;
  const auto unknown = resp::make_error("ERR No such master with that name");
  CHECK(sentinel.command(unknown, 2) == News::none);
  CHECK(take(sentinel.out.command) == Lines{"SENTINEL MASTERS"});
  CHECK(sentinel.command(resp::Value{}, 2) == News::none);
  CHECK(sentinel.command(resp::make_bulk("sentinel_tilt:0\r\n"), 2) == News::none);
  CHECK(sentinel.command(resp::make_bulk("id-one"), 2) == News::none);
  CHECK(sentinel.command(unknown, 2) == News::none);
  CHECK(sentinel.command(unknown, 2) == News::none);
  CHECK(sentinel.command(resp::make_array({bulks({"name", "cache"})}), 2) == News::report);
  CHECK(sentinel.fsm.report().status == SentinelStatus::unknown_master);
  CHECK(sentinel.fsm.report().known_masters == std::vector<std::string>{"cache"});
  CHECK_FALSE(sentinel.fsm.report().usable());
}

TEST_CASE("what is no Sentinel, or wants a login, is told apart from what is unreachable", "[sentinel]") {
  Connected sentinel;
  SECTION("a plain server") {
    const auto error = resp::make_error("ERR unknown command 'SENTINEL', with args beginning with: 'MASTER'");
    for (int i = 0; i < 5; ++i) CHECK(sentinel.command(error, 2) == News::none);
    CHECK(sentinel.command(error, 2) == News::report);
    CHECK(sentinel.fsm.report().status == SentinelStatus::refused);
  }
  SECTION("a login") {
    CHECK(sentinel.command(resp::make_error("NOAUTH Authentication required."), 2) == News::report);
    CHECK(take(sentinel.out.command) == Lines{"close"});
    CHECK(sentinel.fsm.report().failure == LinkFailure::login_refused);
  }
  SECTION("silence") {
    CHECK(sentinel.fsm.on_timer(at(1001), sentinel.out) == News::report);
    CHECK(sentinel.fsm.report().status == SentinelStatus::unreachable);
    CHECK(sentinel.fsm.report().failure == LinkFailure::timed_out);
  }
  SECTION("a damaged answer") {
    CHECK(sentinel.command(bulks({"ip", "127.0.0.1", "port", "70000", "config-epoch", "1"}), 2) ==
          News::none);
    for (int i = 0; i < 4; ++i) CHECK(sentinel.command(resp::make_integer(0), 2) == News::none);
    CHECK(sentinel.command(resp::make_integer(0), 2) == News::report);
    CHECK_FALSE(sentinel.fsm.report().usable());
  }
}

TEST_CASE("the subscription is kept alive and its loss does not hide the polls", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  const auto subscribed =
      resp::make_array({resp::make_bulk("psubscribe"), resp::make_bulk("*"), resp::make_integer(1)});
  CHECK(sentinel.fsm.on_reply(Channel::subscription, subscribed, at(3), sentinel.out) == News::none);
  // What was announced while nobody listened is lost: it looks, once it listens.
  CHECK(take(sentinel.out.command).front() == "SENTINEL MASTER mymaster");
  CHECK(sentinel.short_poll(master_fields("3", "master"), bulks({"127.0.0.1", "7000"}), 4) == News::report);
  CHECK(sentinel.fsm.on_timer(at(1003), sentinel.out) == News::none);
  CHECK(take(sentinel.out.subscription) == Lines{"PING"});
  CHECK(sentinel.fsm.on_reply(Channel::subscription, bulks({"pong", ""}), at(1004), sentinel.out) ==
        News::none);
  CHECK(sentinel.fsm.on_failed(Channel::subscription, LinkFailure::lost, "end", at(1005)) == News::none);
  CHECK(sentinel.fsm.report().usable());
  CHECK(sentinel.fsm.on_timer(at(1005), sentinel.out) == News::none);
  CHECK(take(sentinel.out.subscription) == Lines{"connect"});
}

TEST_CASE("the stages of a failover name its epoch and the replica", "[sentinel]") {
  Connected sentinel;
  sentinel.first_poll(2);
  CHECK(sentinel.push("+new-epoch", "8", 5) == News::none);
  CHECK(sentinel.push("+try-failover", "master mymaster 127.0.0.1 7000", 6) == News::report);
  CHECK(sentinel.fsm.report().election == ElectionStage::candidate);
  CHECK(sentinel.fsm.report().election_epoch == 8);
  // Another master's replica is none of ours.
  CHECK(sentinel.push("+selected-slave", "slave x 127.0.0.1 9 127.0.0.1 9 @ other 127.0.0.1 8", 7) ==
        News::none);
  CHECK(sentinel.fsm.report().selected.host.empty());
  const std::string replica = "slave 127.0.0.1:7001 127.0.0.1 7001 @ mymaster 127.0.0.1 7000";
  const std::string channel =
      GENERATE("+selected-slave", "+failover-state-wait-promotion", "+promoted-slave");
  CHECK(sentinel.push(channel, replica, 8) == News::report);
  CHECK(sentinel.fsm.report().election == ElectionStage::elected);
  CHECK(sentinel.fsm.report().selected == local(7001));
  // The poll that was asked before the selection still shows nothing of it: the later word is kept.
  const auto old_news = master_fields("3", "master");
  CHECK(sentinel.short_poll(old_news, bulks({"127.0.0.1", "7000"}), 9) == News::report);
  CHECK(sentinel.fsm.report().election == ElectionStage::elected);
  CHECK(sentinel.fsm.report().selected == local(7001));
  SECTION("a failover under way keeps the selection") {
    const auto waiting = master_fields("3", "master,failover_in_progress", "wait_promotion");
    CHECK(sentinel.short_poll(waiting, bulks({"127.0.0.1", "7000"}), 10) == News::report);
    CHECK(sentinel.fsm.report().selected == local(7001));
    CHECK(sentinel.fsm.report().election_epoch == 8);
  }
  SECTION("the end of the failover forgets it") {
    CHECK(sentinel.short_poll(old_news, bulks({"127.0.0.1", "7000"}), 10) == News::report);
    CHECK(sentinel.fsm.report().election == ElectionStage::none);
    CHECK(sentinel.fsm.report().selected.host.empty());
  }
  SECTION("and so does its abortion, with a poll that is younger") {
    take(sentinel.out.command);
    CHECK(sentinel.push("-failover-abort-slave-timeout", "master mymaster 127.0.0.1 7000", 10) == News::none);
    CHECK(sentinel.fsm.report().election == ElectionStage::elected);
    // A poll was under way when it was announced, and says what was: the gate must not open and close again.
    const auto before = master_fields("3", "master,failover_in_progress", "wait_promotion");
    CHECK(sentinel.short_poll(before, bulks({"127.0.0.1", "7000"}), 11) == News::report);
    CHECK(sentinel.fsm.report().election == ElectionStage::elected);
    CHECK(take(sentinel.out.command).size() == 3);
    CHECK(sentinel.short_poll(old_news, bulks({"127.0.0.1", "7000"}), 12) == News::report);
    CHECK(sentinel.fsm.report().election == ElectionStage::none);
    CHECK(sentinel.fsm.report().selected.host.empty());
  }
}
