// The replay table, every row of it: what was sent how far, and what it was. And what is left of a timeout.
#include "proxy/engine/replay.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "proxy/engine/remaining_timeout.hpp"
#include "resp/writer.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using resp::ServerErrorKind;

namespace {

RequestClass traits_of(int bits) {
  RequestClass traits;
  traits.repeatable = (bits & 1) != 0;
  traits.blocking = (bits & 2) != 0;
  traits.in_transaction = (bits & 4) != 0;
  traits.is_exec = (bits & 8) != 0;
  traits.script = (bits & 16) != 0;
  return traits;
}

constexpr int all_traits = 32;
constexpr SentState all_states[] = {SentState::unsent, SentState::partial, SentState::sent};

std::string shortened(std::initializer_list<std::string_view> words, int waited_ms) {
  std::string frame;
  resp::append_command(frame, words);
  const auto result = with_remaining_timeout(frame, std::chrono::milliseconds(waited_ms));
  return result ? *result : "as it was";
}

std::string command(std::initializer_list<std::string_view> words) {
  std::string frame;
  resp::append_command(frame, words);
  return frame;
}

}  // namespace

TEST_CASE("the replay table: every combination of what was sent and what it was", "[replay]") {
  int redispatched = 0;
  int uncertain = 0;
  int discarded = 0;
  for (const SentState sent : all_states) {
    for (const BlockingReplay policy : {BlockingReplay::again, BlockingReplay::never}) {
      for (int bits = 0; bits < 2 * all_traits; ++bits) {
        const RequestClass traits = traits_of(bits % all_traits);
        const BlockReplay block = bits < all_traits ? BlockReplay::whole : BlockReplay::never;
        CAPTURE(static_cast<int>(sent), static_cast<int>(policy), bits);
        const LossOutcome outcome = on_link_lost(sent, traits, policy, block);
        // The rows of the table, in its order; the first that fits counts.
        LossOutcome expected = LossOutcome::uncertain;
        if (traits.is_exec && sent == SentState::sent) {
          expected = LossOutcome::uncertain;
        } else if (traits.is_exec || traits.in_transaction) {
          expected = block == BlockReplay::whole ? LossOutcome::redispatch : LossOutcome::discard_transaction;
        } else if (sent != SentState::sent) {
          expected = LossOutcome::redispatch;
        } else if (traits.script) {
          expected = LossOutcome::uncertain;
        } else if (traits.repeatable || (traits.blocking && policy == BlockingReplay::again)) {
          expected = LossOutcome::redispatch;
        }
        REQUIRE(outcome == expected);
        // The promise behind the table: what was sent whole and may have changed anything is never sent
        // again.
        const bool harmless = traits.repeatable || traits.blocking;
        if (sent == SentState::sent && !harmless && !traits.in_transaction) {
          REQUIRE(outcome == LossOutcome::uncertain);
        }
        redispatched += outcome == LossOutcome::redispatch ? 1 : 0;
        uncertain += outcome == LossOutcome::uncertain ? 1 : 0;
        discarded += outcome == LossOutcome::discard_transaction ? 1 : 0;
      }
    }
  }
  CHECK(redispatched + uncertain + discarded == 3 * 2 * 2 * all_traits);
  CHECK(redispatched > 0);
  CHECK(uncertain > 0);
  CHECK(discarded > 0);
}

TEST_CASE("the replay table: every error a server can answer", "[replay]") {
  const auto first = static_cast<int>(ServerErrorKind::other);
  const auto last = static_cast<int>(ServerErrorKind::unkillable);
  for (int number = first; number <= last; ++number) {
    const auto kind = static_cast<ServerErrorKind>(number);
    const bool refused = kind == ServerErrorKind::read_only || kind == ServerErrorKind::loading ||
                         kind == ServerErrorKind::master_down || kind == ServerErrorKind::unblocked;
    for (int bits = 0; bits < all_traits; ++bits) {
      const RequestClass traits = traits_of(bits);
      CAPTURE(number, bits);
      const bool in_block = traits.in_transaction || traits.is_exec;
      for (const RouteAge age : {RouteAge::fresh, RouteAge::settled}) {
        const bool passes_soon = kind == ServerErrorKind::no_replicas && age == RouteAge::fresh;
        const bool again = (refused || passes_soon) && !in_block;
        REQUIRE(on_refusal(kind, traits, age) == (again ? RefusalOutcome::redispatch : RefusalOutcome::pass));
      }
    }
    CAPTURE(number);
    REQUIRE(is_evidence(kind) == refused);
    // Whatever is held because of an error must be one that proves that nothing was executed.
    if (is_evidence(kind)) REQUIRE(resp::is_refusal(kind));
  }
}

TEST_CASE("a blocking command waits only for what is left of its timeout", "[replay]") {
  CHECK(shortened({"BLPOP", "a", "b", "5"}, 1500) == command({"BLPOP", "a", "b", "3.500"}));
  CHECK(shortened({"brpop", "a", "0.25"}, 100) == command({"brpop", "a", "0.150"}));
  CHECK(shortened({"BRPOPLPUSH", "a", "b", "10"}, 3) == command({"BRPOPLPUSH", "a", "b", "9.997"}));
  CHECK(shortened({"BLMOVE", "a", "b", "LEFT", "RIGHT", "2"}, 1000) ==
        command({"BLMOVE", "a", "b", "LEFT", "RIGHT", "1.000"}));
  CHECK(shortened({"BZPOPMIN", "z", "1"}, 1) == command({"BZPOPMIN", "z", "0.999"}));
  CHECK(shortened({"BZPOPMAX", "z", "1"}, 1) == command({"BZPOPMAX", "z", "0.999"}));
  CHECK(shortened({"BLMPOP", "4", "1", "k", "LEFT"}, 1000) == command({"BLMPOP", "3.000", "1", "k", "LEFT"}));
  CHECK(shortened({"BZMPOP", "4", "1", "k", "MIN"}, 1000) == command({"BZMPOP", "3.000", "1", "k", "MIN"}));
  CHECK(shortened({"WAIT", "1", "500"}, 200) == command({"WAIT", "1", "300"}));
  CHECK(shortened({"WAITAOF", "1", "1", "500"}, 200) == command({"WAITAOF", "1", "1", "300"}));
  CHECK(shortened({"XREAD", "COUNT", "2", "BLOCK", "1000", "STREAMS", "s", "$"}, 400) ==
        command({"XREAD", "COUNT", "2", "BLOCK", "600", "STREAMS", "s", "$"}));
  CHECK(shortened({"XREADGROUP", "GROUP", "block", "9", "BLOCK", "1000", "STREAMS", "s", ">"}, 1) ==
        command({"XREADGROUP", "GROUP", "block", "9", "BLOCK", "999", "STREAMS", "s", ">"}));
}

TEST_CASE("a timeout that has passed is a moment, not for ever", "[replay]") {
  CHECK(shortened({"BLPOP", "a", "5"}, 5000) == command({"BLPOP", "a", "0.001"}));
  CHECK(shortened({"BLPOP", "a", "5"}, 50000) == command({"BLPOP", "a", "0.001"}));
  CHECK(shortened({"WAIT", "1", "500"}, 900) == command({"WAIT", "1", "1"}));
}

TEST_CASE("what waits for ever, or nobody knows how long, is sent as it was", "[replay]") {
  CHECK(shortened({"BLPOP", "a", "0"}, 100) == "as it was");
  CHECK(shortened({"XREAD", "STREAMS", "block", "7"}, 100) == "as it was");
  CHECK(shortened({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"}, 100) == "as it was");
  CHECK(shortened({"WAIT", "1", "0"}, 100) == "as it was");
  CHECK(shortened({"BLPOP", "a", "soon"}, 100) == "as it was");
  CHECK(shortened({"BLPOP", "a", "-1"}, 100) == "as it was");
  CHECK(shortened({"BLPOP", "a", "inf"}, 100) == "as it was");
  CHECK(shortened({"BLPOP", "a", "1e300"}, 100) == "as it was");
  CHECK(shortened({"BLPOP"}, 100) == "as it was");
  CHECK(shortened({"WAIT", "1"}, 100) == "as it was");
  CHECK(shortened({"SOMETHING", "5"}, 100) == "as it was");
  CHECK_FALSE(with_remaining_timeout("", std::chrono::milliseconds(1)).has_value());
  CHECK_FALSE(with_remaining_timeout("*2\r\n$5\r\nBLPOP", std::chrono::milliseconds(1)).has_value());
}
