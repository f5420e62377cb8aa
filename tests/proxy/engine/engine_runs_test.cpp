// Runs: a pipeline of plain commands of one name is one request inside, and single commands for everybody
// outside.
#include <random>

#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

const std::string uncertain =
    "-UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it may or may "
    "not "
    "have been executed\r\n";

/// As nearly all clients say it; inline commands never make a run.
std::string frame_of(const std::string& inline_command) {
  std::string frame;
  std::uint32_t count = 0;
  std::string rest = inline_command;
  while (!rest.empty()) {
    const auto blank = std::min(rest.find(' '), rest.size());
    frame += "$" + std::to_string(blank) + "\r\n" + rest.substr(0, blank) + "\r\n";
    rest.erase(0, blank + 1);
    ++count;
  }
  return "*" + std::to_string(count) + "\r\n" + frame;
}

std::string multibulk(const Strings& commands) {
  std::string frames;
  for (const std::string& command : commands) frames += frame_of(command);
  return frames;
}

Strings numbered(const std::string& command, int count) {
  Strings commands;
  for (int i = 0; i < count; ++i) commands.push_back(command + std::to_string(i));
  return commands;
}

std::uint64_t calls_of(World& world, const std::string& name) {
  for (const CommandMeter& meter : world.engine.telemetry(world.now).commands) {
    if (meter.name == name) return meter.calls;
  }
  return 0;
}

}  // namespace

TEST_CASE("a run leaves whole, is answered in pieces, and each of its commands counts", "[runs]") {
  ReadyWorld world;
  const ConnId client = world.light_client();
  const Stats before = world.engine.stats();
  const std::uint64_t calls = calls_of(world, "get");
  const Strings commands = numbered("GET k", 10);
  world.feed(client, multibulk(commands));
  CHECK(world.take(world.shared) == multibulk(commands));
  CHECK(world.engine.stats().commands - before.commands == 10);
  CHECK(world.engine.stats().commands_shared - before.commands_shared == 10);
  CHECK(world.engine.telemetry(world.now).links.front().in_flight == 10);
  world.feed(world.shared, "$1\r\n0\r\n$1\r\n1\r\n$1\r");
  CHECK(world.take(client) == "$1\r\n0\r\n$1\r\n1\r\n$1\r");
  CHECK(world.engine.telemetry(world.now).links.front().in_flight == 8);
  CHECK(calls_of(world, "get") - calls == 2);
  world.feed(world.shared, "\n2\r\n$1\r\n3\r\n");
  CHECK(world.take(client) == "\n2\r\n$1\r\n3\r\n");
  std::string rest;
  for (int i = 4; i < 10; ++i) rest += "$1\r\n" + std::to_string(i) + "\r\n";
  world.feed(world.shared, rest);
  CHECK(world.take(client) == rest);
  CHECK(calls_of(world, "get") - calls == 10);
  CHECK(world.engine.stats().replies - before.replies == 10);
  CHECK(world.engine.telemetry(world.now).links.front().in_flight == 0);
}

TEST_CASE("a run ends where another command, a large one or an unusual frame begins", "[runs]") {
  ReadyWorld world;
  const ConnId client = world.light_client();
  const std::string large = frame_of("SET large " + std::string(20000, 'x'));
  const std::string unusual = "*02\r\n$3\r\nGET\r\n$1\r\na\r\n";
  world.feed(client, multibulk({"GET a", "get b", "SET a 1", "SET b 2"}) + "GET c\r\n" + large);
  CHECK(world.take(world.shared) == multibulk({"GET a", "get b", "SET a 1", "SET b 2", "GET c"}) + large);
  world.feed(world.shared, "$-1\r\n$-1\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n");
  CHECK(world.take(client) == "$-1\r\n$-1\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n");
  world.feed(client, multibulk({"GET a", "GET b"}) + unusual);
  CHECK(world.take(world.shared) == multibulk({"GET a", "GET b"}));
  CHECK(world.take(client).empty());
  world.feed(world.shared, "$-1\r\n$-1\r\n");
  CHECK(world.take(client) == "$-1\r\n$-1\r\n-ERR Protocol error: invalid multibulk length\r\n");
}

TEST_CASE("an error in a run is its command's alone", "[runs]") {
  ReadyWorld world;
  const ConnId client = world.light_client();
  const std::uint64_t errors = world.engine.stats().error_replies;
  world.feed(client, multibulk(numbered("INCR k", 5)));
  world.take(world.shared);
  const std::string replies = ":1\r\n-WRONGTYPE no\r\n:3\r\n-WRONGTYPE no\r\n:5\r\n";
  world.feed(world.shared, replies);
  CHECK(world.take(client) == replies);
  CHECK(world.engine.stats().error_replies - errors == 2);
}

TEST_CASE("a run on a lost link: what was answered, sent, begun and never sent are told apart", "[runs]") {
  const bool writes = GENERATE(true, false);
  const Strings commands = numbered(writes ? "INCR k" : "MGET k", 5);
  const std::size_t frame = frame_of(commands[0]).size();
  ReadyWorld world;
  const ConnId client = world.light_client();
  world.io.at(world.shared).capacity = 3 * frame + 5;
  world.feed(client, multibulk(commands));
  CHECK(world.take(world.shared).size() == 3 * frame + 5);
  world.feed(world.shared, ":0\r\n");
  CHECK(world.take(client) == ":0\r\n");
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  CHECK(world.take(client) == (writes ? uncertain + uncertain : ""));
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings(commands.begin() + (writes ? 3 : 1), commands.end()));
}

TEST_CASE("the gate closes on a run that is half written: the frame that began is finished", "[runs]") {
  const Strings commands = numbered("INCR k", 5);
  const std::size_t frame = frame_of(commands[0]).size();
  ReadyWorld world;
  const ConnId client = world.light_client();
  world.io.at(world.shared).capacity = 2 * frame + 5;
  world.feed(client, multibulk(commands));
  world.take(world.shared);
  world.publish("a", 1, health::GroupState::suspect);
  world.io.at(world.shared).capacity = SIZE_MAX;
  world.engine.on_writable(world.shared, world.now);
  world.turn();
  CHECK(world.take(world.shared).size() == frame - 5);
  world.feed(world.shared, ":0\r\n:1\r\n:2\r\n");
  CHECK(world.take(client) == ":0\r\n:1\r\n:2\r\n");
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"INCR k3", "INCR k4"});
}

TEST_CASE("a client that goes away leaves a run whose replies reach nobody", "[runs]") {
  ReadyWorld world;
  const ConnId gone = world.light_client();
  const ConnId other = world.light_client();
  world.feed(gone, multibulk(numbered("GET k", 3)));
  world.feed(other, multibulk(numbered("GET o", 2)));
  world.take(world.shared);
  world.feed(world.shared, "$1\r\n0\r\n");
  CHECK(world.take(gone) == "$1\r\n0\r\n");
  world.engine.on_error(gone, "gone", world.now);
  world.turn();
  world.feed(world.shared, "$1\r\n1\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(world.take(other) == "$1\r\na\r\n$1\r\nb\r\n");
  CHECK(world.engine.stats().desyncs == 0);
}

TEST_CASE("each command of a slow run is in the slow log", "[runs]") {
  EngineOptions options;
  options.slow_min = 100ms;
  ReadyWorld world(options);
  const ConnId client = world.light_client();
  world.feed(client, multibulk(numbered("GET k", 4)));
  world.feed(world.shared, "$-1\r\n");
  world.pass(200ms);
  world.feed(world.shared, "$-1\r\n$-1\r\n");
  world.feed(world.shared, "$-1\r\n");
  const auto slow = world.engine.telemetry(world.now).slow;
  REQUIRE(slow.size() == 3);
  CHECK(slow[2].args == Strings{"GET", "k1"});
  CHECK(slow[1].args == Strings{"GET", "k2"});
  CHECK(slow[0].args == Strings{"GET", "k3"});
}

// --- The same story twice: once said in frames that make runs, once in lines that make none

namespace {

/// Draws what happens; the same seed draws the same for both worlds.
class Story {
 public:
  Story(std::uint64_t seed, bool runs) : random_(seed), runs_(runs) {
    for (int i = 0; i < 3; ++i) clients_.push_back(world_.light_client());
  }

  /// What everybody saw in one step.
  std::string step() {
    switch (draw(12)) {
      case 0:
        world_.io.at(world_.shared).capacity = draw(400);
        break;
      case 1:
        world_.io.at(world_.shared).capacity = SIZE_MAX;
        if (open()) world_.engine.on_writable(world_.shared, world_.now);
        world_.turn();
        break;
      case 2:
        if (draw(6) == 0) fail_over();
        break;
      case 3:
        if (draw(6) == 0) replace_client();
        break;
      case 4:
        world_.pass(std::chrono::milliseconds(draw(50)));
        break;
      case 5:
      case 6:
      case 7:
      case 8:
        speak();
        break;
      default:
        answer();
        break;
    }
    return told();
  }

  [[nodiscard]] std::string figures() {
    const Stats& s = world_.engine.stats();
    std::string text;
    for (const std::uint64_t figure :
         {s.commands, s.commands_shared, s.replies, s.uncertain, s.error_replies, s.held, s.desyncs,
          s.links_lost, s.backend_bytes_out, s.client_bytes_out}) {
      text += std::to_string(figure) + " ";
    }
    for (const CommandMeter& meter : world_.engine.telemetry(world_.now).commands) {
      text += meter.name + "=" + std::to_string(meter.calls) + "/" + std::to_string(meter.errors) + "/" +
              std::to_string(meter.durations.sum()) + " ";
    }
    return text;
  }

 private:
  std::size_t draw(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  bool open() { return world_.io.at(world_.shared).open; }

  void speak() {
    static const Strings names{"GET k", "GET k", "INCR n", "MSET a b c "};
    std::string bytes;
    for (std::size_t runs = 1 + draw(3); runs > 0; --runs) {
      const std::string& name = names[draw(names.size())];
      for (std::size_t count = 1 + draw(8); count > 0; --count) {
        const std::string command = name + std::to_string(draw(1000));
        bytes += runs_ ? frame_of(command) : command + "\r\n";
      }
    }
    world_.feed(clients_[draw(clients_.size())], bytes);
  }

  /// Some of what the server owes, often with the beginning of the next reply.
  void answer() {
    static const Strings replies{":1\r\n",
                                 "$5\r\nvalue\r\n",
                                 "$-1\r\n",
                                 "+OK\r\n",
                                 "-WRONGTYPE no\r\n",
                                 "*2\r\n:1\r\n$1\r\na\r\n",
                                 "-READONLY You can't write against a read only replica.\r\n",
                                 "$20000\r\n" + std::string(20000, 'x') + "\r\n"};
    if (!open()) return;
    std::size_t owed = World::commands(whole_frames()).size() - answered_;
    std::string bytes = std::exchange(begun_, {});
    for (std::size_t count = draw(12); count > 0 && owed > 0; --count, --owed) {
      const std::size_t kind = draw(40);
      bytes += replies[kind < replies.size() ? kind : kind % 4];
      ++answered_;
    }
    const std::size_t kept = draw(3) == 0 && bytes.size() > 1 ? draw(bytes.size()) : 0;
    begun_ = bytes.substr(bytes.size() - kept);
    bytes.resize(bytes.size() - kept);
    if (!bytes.empty()) world_.feed(world_.shared, bytes);
  }

  /// What the server has of the link's stream, without the frame that is not whole yet.
  std::string whole_frames() {
    std::string_view rest = received_;
    const resp::CommandLimits limits;
    std::size_t whole = 0;
    while (const std::size_t size = resp::plain_frame_bytes(rest, limits)) {
      whole += size;
      rest.remove_prefix(size);
    }
    return received_.substr(0, whole);
  }

  void fail_over() {
    if (open() && draw(2) == 0) {
      world_.engine.on_error(world_.shared, "reset", world_.now);
      world_.turn();
    }
    world_.publish(std::string(1, static_cast<char>('a' + term_)), term_, health::GroupState::suspect);
    speak();
    log_ += told();
    ++term_;
    world_.publish(std::string(1, static_cast<char>('a' + term_)), term_);
    if (world_.io.links.back() == world_.shared) world_.feed(world_.client(), "GET again\r\n");
    REQUIRE(world_.io.links.back() != world_.shared);
    world_.shared = world_.log_in();
    received_.clear();
    begun_.clear();
    answered_ = 0;
  }

  void replace_client() {
    const std::size_t i = draw(clients_.size());
    if (world_.io.at(clients_[i]).open) world_.engine.on_error(clients_[i], "gone", world_.now);
    world_.turn();
    log_ += told();
    clients_[i] = world_.client();
  }

  std::string told() {
    std::string text = std::exchange(log_, {});
    for (const ConnId client : clients_) {
      text += (world_.io.at(client).open ? "[" : "[closed ") + world_.take(client) + "]";
    }
    const std::string sent = world_.take(world_.shared);
    received_ += sent;
    return text + "(" + sent + ")" + (open() ? "" : " lost");
  }

  std::mt19937_64 random_;
  bool runs_;
  ReadyWorld world_;
  std::vector<ConnId> clients_;
  std::string received_;  // by the server on the link of now
  std::string begun_;     // of a reply, the part that is still to come
  std::string log_;
  std::size_t answered_ = 0;
  std::uint64_t term_ = 1;
};

}  // namespace

TEST_CASE("a story told in runs is the story told in single commands", "[runs]") {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    Story runs(seed, true);
    Story singles(seed, false);
    for (int step = 0; step < 120; ++step) {
      CAPTURE(step);
      const std::string seen = runs.step();
      REQUIRE(seen == singles.step());
    }
    REQUIRE(runs.figures() == singles.figures());
  }
}
