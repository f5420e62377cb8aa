#include "proxy/engine/subscription_hub.hpp"

#include <catch2/catch.hpp>

#include "proxy/engine/pubsub_frame.hpp"
#include "resp/writer.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

/// The hub carries pointers to sessions and requests and never looks behind them.
Session* session(std::uintptr_t number) {
  return reinterpret_cast<Session*>(number);
}
Request* request(std::uintptr_t number) {
  return reinterpret_cast<Request*>(number);
}

struct Words {
  explicit Words(const std::vector<std::string>& args) {
    resp::append_command(bytes, args);
    resp::CommandLimits limits;
    resp::CommandReader reader(limits);
    view = reader.read(bytes, scratch, resp::LoginState::authenticated).command;
  }
  std::string bytes;
  resp::CommandScratch scratch;
  resp::CommandView view;
};

constexpr auto channel = ChannelKind::channel;

struct Fixture {
  ~Fixture() {
    for (Subscriber* s : all) hub.remove(s);
  }
  Subscriber& add() {
    all.push_back(hub.add(session(++sessions)));
    return *all.back();
  }
  void remove(Subscriber& s) {
    std::erase(all, &s);
    hub.remove(&s);
  }
  void subscribe(Subscriber& s, std::vector<std::string> names, ChannelKind kind = channel) {
    names.insert(names.begin(), "x");
    hub.subscribe(s, kind, Words(names).view, request(++requests));
  }
  std::string unsubscribe(Subscriber& s, std::vector<std::string> names, ChannelKind kind = channel) {
    names.insert(names.begin(), "x");
    std::string reply;
    hub.unsubscribe(&s, kind, Words(names).view, resp::Version::resp2, reply);
    return reply;
  }
  std::string finish() {
    std::string reply;
    while (Subscriber* s = hub.first_ready()) hub.finish(*s, resp::Version::resp2, reply);
    return reply;
  }
  std::string orders() { return std::exchange(hub.orders(), {}); }
  static std::string order(std::string_view word, std::string_view name) {
    std::string out;
    resp::append_command(out, {word, name});
    return out;
  }

  SubscriptionHub hub;
  std::vector<Subscriber*> all;
  std::uintptr_t sessions = 0;
  std::uintptr_t requests = 0;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "hub: asks for a name once, and when the link is up") {
  CHECK_FALSE(hub.wants_upstream());
  Subscriber& a = add();
  Subscriber& b = add();
  subscribe(a, {"n"});
  subscribe(b, {"n"});
  CHECK(hub.wants_upstream());
  CHECK(orders().empty());
  hub.on_up();
  CHECK(orders() == order("SUBSCRIBE", "n"));
  CHECK(hub.first_ready() == nullptr);
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "n"));
  CHECK(finish() == "*3\r\n$9\r\nsubscribe\r\n$1\r\nn\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nn\r\n:1\r\n");
  CHECK(hub.subscribers() == 2);
  CHECK(hub.confirmed() == 1);
  remove(a);
  CHECK(orders().empty());
  remove(b);
  CHECK(orders() == order("UNSUBSCRIBE", "n"));
  CHECK(hub.on_confirmed(HubOrder::unsubscribe, channel, "n"));
  CHECK_FALSE(hub.wants_upstream());
}

TEST_CASE_METHOD(Fixture, "hub: what was not asked for is no confirmation") {
  hub.on_up();
  subscribe(add(), {"n"});
  std::vector<Session*> losers;
  CHECK_FALSE(hub.on_confirmed(HubOrder::subscribe, channel, "m"));
  CHECK_FALSE(hub.on_confirmed(HubOrder::unsubscribe, channel, "n"));
  CHECK_FALSE(hub.on_confirmed(HubOrder::subscribe, ChannelKind::pattern, "n"));
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "n"));
  CHECK_FALSE(hub.on_confirmed(HubOrder::subscribe, channel, "n"));
  CHECK_FALSE(hub.on_error("ERR", losers));
}

TEST_CASE_METHOD(Fixture, "hub: leave and return on the way: the last word counts") {
  hub.on_up();
  Subscriber& a = add();
  subscribe(a, {"n"});
  remove(a);
  Subscriber& b = add();
  subscribe(b, {"n"});
  CHECK(orders() == order("SUBSCRIBE", "n") + order("UNSUBSCRIBE", "n") + order("SUBSCRIBE", "n"));
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "n"));
  CHECK(hub.first_ready() == nullptr);
  CHECK(hub.on_confirmed(HubOrder::unsubscribe, channel, "n"));
  CHECK(hub.find(channel, "n") != nullptr);
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "n"));
  CHECK(hub.first_ready() == &b);
}

TEST_CASE_METHOD(Fixture, "hub: commands of one session are answered in order, whatever is confirmed first") {
  hub.on_up();
  Subscriber& a = add();
  Subscriber& b = add();
  subscribe(b, {"known"});
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "known"));
  (void)finish();
  subscribe(a, {"new"});
  subscribe(a, {"known", "new"});
  CHECK(hub.first_ready() == nullptr);
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "new"));
  CHECK(hub.first_ready() == &a);
  CHECK(a.pending.front().request == request(2));
  CHECK(finish() ==
        "*3\r\n$9\r\nsubscribe\r\n$3\r\nnew\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nknown\r\n:2\r\n"
        "*3\r\n$9\r\nsubscribe\r\n$3\r\nnew\r\n:2\r\n");
  CHECK(a.pending.empty());
}

TEST_CASE_METHOD(Fixture, "hub: a refused name takes its command with it, and gives back the other names") {
  hub.on_up();
  Subscriber& a = add();
  Subscriber& b = add();
  subscribe(a, {"ok", "no", "no"});
  subscribe(a, {"ok"});
  subscribe(b, {"no"});
  CHECK(orders() == order("SUBSCRIBE", "ok") + order("SUBSCRIBE", "no"));
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "ok"));
  std::vector<Session*> losers;
  CHECK(hub.on_error("NOPERM no", losers));
  CHECK(losers.empty());
  const std::string reply = finish();
  CHECK(reply.find("*3\r\n$9\r\nsubscribe\r\n$2\r\nok\r\n:1\r\n") != std::string::npos);
  CHECK(a.count(channel) == 1);
  CHECK(b.count(channel) == 0);
  CHECK(hub.find(channel, "no") == nullptr);
  CHECK(orders().empty());  // `ok` is wanted by the second command
}

TEST_CASE_METHOD(Fixture, "hub: a lost link forgets what nobody wants, and asks for the rest again") {
  hub.on_up();
  Subscriber& a = add();
  subscribe(a, {"kept", "left"});
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "kept"));
  CHECK(hub.on_confirmed(HubOrder::subscribe, channel, "left"));
  (void)finish();
  (void)unsubscribe(a, {"left"});
  subscribe(a, {"asked"});
  (void)orders();
  hub.on_down();
  CHECK(hub.confirmed() == 0);
  REQUIRE(hub.first_pending() != nullptr);
  CHECK(hub.first_pending()->request == request(2));
  hub.abandon(*hub.first_pending());
  CHECK(hub.first_pending() == nullptr);
  CHECK(hub.find(channel, "left") == nullptr);
  CHECK(hub.find(channel, "asked") == nullptr);
  hub.on_up();
  CHECK(orders() == order("SUBSCRIBE", "kept"));
  std::vector<Session*> losers;
  CHECK(hub.on_error("NOPERM", losers));
  CHECK(losers == std::vector<Session*>{session(1)});
}

TEST_CASE_METHOD(Fixture, "hub: ten thousand sessions with ten channels each") {
  hub.on_up();
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("channel-" + std::to_string(i));
  for (int i = 0; i < 10'000; ++i) subscribe(add(), names);
  for (const std::string& name : names) CHECK(hub.on_confirmed(HubOrder::subscribe, channel, name));
  (void)finish();
  CHECK(hub.subscribers() == 10'000);
  CHECK(hub.confirmed() == 10);
  (void)orders();
  while (all.size() > 1) remove(*all.back());
  CHECK(orders().empty());
  CHECK(unsubscribe(*all.front(), {}).ends_with(":0\r\n"));
  CHECK(hub.subscribers() == 0);
  for (const std::string& name : names) CHECK(hub.on_confirmed(HubOrder::unsubscribe, channel, name));
  CHECK_FALSE(hub.wants_upstream());
}

TEST_CASE_METHOD(Fixture, "hub: a shard channel moves while a command waits to be answered") {
  hub.on_up();
  Subscriber& a = add();
  Subscriber& b = add();
  subscribe(a, {"s"}, ChannelKind::shard);
  CHECK(hub.on_confirmed(HubOrder::subscribe, ChannelKind::shard, "s"));
  (void)finish();
  subscribe(b, {"s", "t"}, ChannelKind::shard);
  (void)orders();
  HubChannel* moved = hub.on_moved("s");
  REQUIRE(moved != nullptr);
  CHECK(hub.take_subscriber(*moved) == &a);
  CHECK(hub.take_subscriber(*moved) == nullptr);
  hub.settle(*moved);
  CHECK(orders() == order("SSUBSCRIBE", "s"));
  CHECK(hub.on_confirmed(HubOrder::subscribe, ChannelKind::shard, "t"));
  CHECK(hub.first_ready() == nullptr);
  std::vector<Session*> losers;
  CHECK(hub.on_error("MOVED 1 h:1", losers));
  CHECK(finish() == "-MOVED 1 h:1\r\n");
  CHECK(hub.on_moved("nobody") == nullptr);
}

TEST_CASE("frames of the upstream link") {
  const auto read = [](std::string_view text) { return read_pubsub_frame(text); };
  const auto message = read(">4\r\n$8\r\npmessage\r\n$2\r\np*\r\n$1\r\na\r\n$1\r\nx\r\n");
  REQUIRE(message);
  CHECK(message->kind == FrameKind::message);
  CHECK(message->channel_kind == ChannelKind::pattern);
  CHECK(message->name == "p*");
  const auto ended = read("*3\r\n$12\r\nsunsubscribe\r\n$4\r\na\r\nb\r\n:0\r\n");
  REQUIRE(ended);
  CHECK(ended->kind == FrameKind::unsubscribed);
  CHECK(ended->channel_kind == ChannelKind::shard);
  CHECK(ended->name == "a\r\nb");
  for (const char* wrong :
       {"", ">", "+OK\r\n", ">3\r\n", ">3\r\n:1\r\n", ">3\r\n$7\r\nmessage\r\n", ">3\r\n$9\r\nmessage\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n", ">3\r\n$7\r\nmessage\r\n$-1\r\n:0\r\n",
        ">3\r\n$7\r\nmessage\r\n$99999999999999999999\r\n", ">3\r\n$7\r\nmessage\r\n$5\r\nab\r\n"}) {
    INFO(wrong);
    CHECK_FALSE(read(wrong));
  }
}
