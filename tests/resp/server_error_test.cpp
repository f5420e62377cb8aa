#include "resp/server_error.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace fairlead::resp;
using Kind = ServerErrorKind;

TEST_CASE("the first word decides", "[server_error]") {
  const std::vector<std::pair<const char*, Kind>> table{
      {"READONLY You can't write against a read only replica.", Kind::read_only},
      {"LOADING Redis is loading the dataset in memory", Kind::loading},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Kind::master_down},
      {"CLUSTERDOWN The cluster is down", Kind::cluster_down},
      {"TRYAGAIN Multiple keys request during rehashing of slot", Kind::try_again},
      {"MOVED 1 a:1", Kind::moved},
      {"ASK 1 a:1", Kind::ask},
      {"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
       Kind::unblocked},
      {"NOREPLICAS Not enough good replicas to write.", Kind::no_replicas},
      {"BUSY Redis is busy running a script.", Kind::busy},
      {"OOM command not allowed when used memory > 'maxmemory'.", Kind::out_of_memory},
      {"MISCONF Redis is configured to save RDB snapshots", Kind::misconf},
      {"NOSCRIPT No matching script.", Kind::no_script},
      {"CROSSSLOT Keys in request don't hash to the same slot", Kind::cross_slot},
      {"EXECABORT Transaction discarded because of previous errors.", Kind::exec_abort},
      {"NOPERM this user has no permissions to run the 'get' command", Kind::no_perm},
      {"NOAUTH Authentication required.", Kind::no_auth},
      {"WRONGPASS invalid username-password pair or user is disabled.", Kind::wrong_pass},
      {"NOPROTO unsupported protocol version", Kind::no_proto},
      {"UNKILLABLE Sorry the script already executed write commands", Kind::unkillable},
  };
  for (const auto& [line, kind] : table) {
    INFO(line);
    CHECK(parse_server_error(line).kind == kind);
    const std::string word = std::string(line).substr(0, std::string(line).find(' '));
    CHECK(parse_server_error(word).kind == kind);
    CHECK(parse_server_error(word + "X foo").kind == Kind::other);
  }
}

TEST_CASE("words that only look like codes mean nothing", "[server_error]") {
  for (const char* line :
       {"", " ", "ERR unknown command", "WRONGTYPE Operation", "BUSYGROUP Consumer Group name already exists",
        "BUSYKEY Target key name already exists.", "readonly", " READONLY", "ERR READONLY"}) {
    INFO(line);
    CHECK(parse_server_error(line).kind == Kind::other);
  }
}

TEST_CASE("redirections name slot and address", "[server_error]") {
  const ServerError moved = parse_server_error("MOVED 3999 127.0.0.1:6381");
  CHECK(moved.kind == Kind::moved);
  CHECK(moved.slot == 3999);
  CHECK(moved.address == Address{"127.0.0.1", 6381, false});
  const ServerError ask = parse_server_error("ASK 16383 redis.example:1");
  CHECK(ask.kind == Kind::ask);
  CHECK(ask.slot == 16383);
  CHECK(ask.address == Address{"redis.example", 1, false});
  CHECK(parse_server_error("MOVED 1 ::1:6379").address == Address{"::1", 6379, false});
  CHECK(parse_server_error("MOVED 1 :6379").address == Address{"", 6379, false});
}

TEST_CASE("a redirection that makes no sense leads nowhere", "[server_error]") {
  for (const char* line : {"MOVED", "MOVED ", "MOVED 1", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED x a:1",
                           "MOVED 1 a", "MOVED 1 a:", "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED  1 a:1"}) {
    INFO(line);
    const ServerError error = parse_server_error(line);
    CHECK(error.kind == Kind::moved);
    CHECK(error.slot == 0);
    CHECK(error.address == Address{});
  }
}

TEST_CASE("refusals prove that nothing was executed", "[server_error]") {
  for (const Kind kind : {Kind::read_only, Kind::loading, Kind::master_down, Kind::cluster_down,
                          Kind::try_again, Kind::moved, Kind::ask, Kind::unblocked, Kind::no_replicas}) {
    CHECK(is_refusal(kind));
  }
  for (const Kind kind :
       {Kind::other, Kind::busy, Kind::out_of_memory, Kind::misconf, Kind::no_script, Kind::cross_slot,
        Kind::exec_abort, Kind::no_perm, Kind::no_auth, Kind::wrong_pass, Kind::no_proto, Kind::unkillable}) {
    CHECK_FALSE(is_refusal(kind));
  }
}
