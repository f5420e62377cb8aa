// Where the bytes of large commands are received, and that each of them arrives whole.
#include <algorithm>
#include <random>

#include "engine_world.hpp"
#include "resp/writer.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

std::string set(const std::string& key, const std::string& value) {
  std::string frame;
  resp::append_command(frame, {"SET", key, value});
  return frame;
}

/// What the value of a client's command consists of.
char filler(std::size_t client, std::size_t command) {
  return static_cast<char>('a' + (client + command) % 26);
}

}  // namespace

TEST_CASE("who sends large frames receives the next one whole, where an earlier one was") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId other = world.client();
  const std::string first = set("a", std::string(300'000, 'x'));
  world.feed(client, first);
  const ConnId bulk = world.log_in();
  CHECK(world.take(bulk) == first);
  const std::uint64_t while_it_is_outstanding = world.engine.buffer_bytes();
  CHECK(world.engine.read_space(client).size <= ChunkPool::large_bytes);  // its chunk is not free yet
  world.feed(bulk, "+OK\r\n");

  // Nothing came after all, and then something for somebody else.
  CHECK(world.engine.read_space(client).size == first.size());
  world.feed(other, "GET b\r\n");
  CHECK(world.got(world.shared) == Strings{"GET b"});
  world.feed(world.shared, "+B\r\n");
  CHECK(world.take(other) == "+B\r\n");

  const std::string second = set("a", std::string(300'000, 'y'));
  world.read(client, second);  // at once
  world.turn();
  CHECK(world.take(bulk) == second);
  CHECK(world.engine.buffer_bytes() <= while_it_is_outstanding);
  world.feed(bulk, "+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n+OK\r\n");

  // What is small, or has only begun, keeps no more than is due to it.
  world.feed(client, second.substr(0, 10'000));
  CHECK(world.engine.buffer_bytes() <= 2 * ChunkPool::large_bytes);
  world.feed(client, second.substr(10'000) + "GET c\r\nGET");
  CHECK(world.take(bulk) == second + "*2\r\n$3\r\nGET\r\n$1\r\nc\r\n");
  world.feed(bulk, "+OK\r\n+C\r\n");
  CHECK(world.engine.buffer_bytes() <= 2 * ChunkPool::large_bytes);
  world.feed(client, " d\r\n");
  CHECK(world.got(bulk) == Strings{"GET d"});
}

TEST_CASE("large and small commands of many clients, in pieces of all sizes, arrive whole and in order") {
  std::mt19937 random(20261130);
  const auto upto = [&](std::size_t most) { return random() % (most + 1); };
  constexpr std::size_t sizes[] = {1, 4000, 16'300, 65'400, 65'536, 70'000, 98'000, 300'000};

  struct Client {
    ConnId id;
    std::string to_say;
    std::size_t said = 0;
    std::vector<std::size_t> ends;  // of its commands in what it says
    Strings sent;                   // keys, as they must reach a server
  };
  ReadyWorld world;
  std::vector<Client> clients(6);
  for (std::size_t c = 0; c < clients.size(); ++c) {
    clients[c].id = world.client();
    for (std::size_t i = 0; i < 40; ++i) {
      const std::size_t size = sizes[upto(c % 2 == 0 ? std::size(sizes) - 1 : 2)] + upto(2);
      clients[c].sent.push_back(std::to_string(c) + "." + std::to_string(i));
      clients[c].to_say += set(clients[c].sent.back(), std::string(size, filler(c, i)));
      clients[c].ends.push_back(clients[c].to_say.size());
    }
  }

  std::vector<Strings> arrived(clients.size());
  ConnId bulk;
  const auto serve = [&] {
    if (world.io.links.size() > 1 && !bulk.valid()) bulk = world.log_in(1);
    for (const ConnId link : {world.shared, bulk}) {
      if (!link.valid()) continue;
      std::string replies;
      for (const std::string& command : world.got(link)) {  // "SET 3.17 xxxx"
        const std::string key = command.substr(4, command.find(' ', 4) - 4);
        const std::size_t c = std::stoul(key);
        const std::size_t i = std::stoul(key.substr(2));
        REQUIRE(command.find_first_not_of(filler(c, i), 4 + key.size() + 1) == std::string::npos);
        arrived[c].push_back(key);
        replies += "+OK\r\n";
      }
      if (!replies.empty()) world.feed(link, replies);
    }
  };

  for (bool more = true; more;) {
    more = false;
    for (std::size_t n = upto(8); n > 0; --n) {
      Client& client = clients[upto(clients.size() - 1)];
      const bool says_one_command = upto(3) != 0;
      const auto end = std::upper_bound(client.ends.begin(), client.ends.end(), client.said);
      const std::size_t left =
          (says_one_command && end != client.ends.end() ? *end : client.to_say.size()) - client.said;
      const MutableBytes space = world.engine.read_space(client.id);
      const std::size_t size = std::min({space.size, left, upto(3) == 0 ? upto(9) : upto(200'000)});
      const bool nothing_came = size == 0 || upto(5) == 0;
      if (nothing_came || world.io.at(client.id).reading == Reading::off) continue;
      std::copy_n(client.to_say.data() + client.said, size, space.data);
      client.said += size;
      world.engine.on_bytes(client.id, size, world.now);
    }
    world.turn();
    if (upto(2) == 0) serve();
    for (const Client& client : clients) more = more || client.said < client.to_say.size();
  }
  for (int i = 0; i < 100; ++i) {
    world.turn();
    serve();
  }
  for (std::size_t c = 0; c < clients.size(); ++c) {
    CHECK(arrived[c] == clients[c].sent);
    std::string ok;
    for (std::size_t i = 0; i < clients[c].sent.size(); ++i) ok += "+OK\r\n";
    CHECK(world.take(clients[c].id) == ok);
  }
  CHECK(world.engine.buffer_bytes() <= 4 * ChunkPool::large_bytes + 300'000);
}
