// The order in which streams are read that were not read to the end, without sockets: each has so many bytes
// waiting, and is read as the worker reads.
#include "proxy/read_turns.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

namespace fairlead::proxy {
namespace {

using engine::ConnId;
using engine::Reading;
using engine::Side;

constexpr std::size_t small_room = 16 * 1024;   // of a client that is not known to send large values
constexpr std::size_t large_room = 512 * 1024;  // of one in the middle of a large value
constexpr std::size_t kib = 1024;

struct Peer {
  Stream stream;
  std::size_t waiting = 0;  // bytes that can be read
  std::size_t room = small_room;
};

class World {
 public:
  Peer& peer(std::uint32_t index) {
    Peer& peer = peers_[index];
    peer.stream.id = {index, 1, Side::client};
    return peer;
  }
  void arrive(std::uint32_t index, std::size_t bytes, std::size_t room = small_room) {
    peer(index).waiting += bytes;
    peer(index).room = room;
    if (turns.may_read(peer(index).stream)) read(peer(index).stream.id);
  }
  std::size_t serve() {
    return turns.serve([this](ConnId id) { return find(id); }, [this](ConnId id) { read(id); });
  }
  void close(std::uint32_t index) { peers_.erase(index); }
  std::vector<std::uint32_t> take_order() { return std::exchange(order_, {}); }

  ReadTurns turns;

 private:
  Stream* find(ConnId id) {
    const auto found = peers_.find(id.index);
    return found == peers_.end() ? nullptr : &found->second.stream;
  }
  void read(ConnId id) {
    Peer& from = peers_.at(id.index);
    order_.push_back(id.index);
    const std::size_t wanted = std::min(from.room, ReadTurns::bytes_per_turn);
    const std::size_t size = std::min(wanted, from.waiting);
    from.waiting -= size;
    if (size == 0) return;  // EAGAIN
    if (turns.received(from.stream, size, wanted)) turns.stand_in_line(from.stream);
  }

  std::map<std::uint32_t, Peer> peers_;
  std::vector<std::uint32_t> order_;
};

using Order = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a stream that is read to its end does not stand in line", "[turns]") {
  World world;
  world.arrive(1, 100);
  CHECK(world.take_order() == Order{1});
  CHECK(world.turns.empty());
  CHECK(world.serve() == 0);
}

TEST_CASE("deep pipelines of small commands take turns after each read", "[turns]") {
  World world;
  world.arrive(1, 3 * small_room + 1);
  world.arrive(2, 2 * small_room + 1);
  world.arrive(3, small_room + 1);
  CHECK(world.take_order() == Order{1, 2, 3});
  CHECK(world.serve() == 6);
  CHECK(world.take_order() == Order{1, 2, 3, 1, 2, 1});
  CHECK(world.turns.empty());
}

TEST_CASE("whoever is in line already is not read out of turn when more arrives", "[turns]") {
  World world;
  world.arrive(1, 2 * small_room);
  world.arrive(2, 2 * small_room);
  world.take_order();
  world.arrive(2, 10);
  CHECK(world.take_order().empty());
  world.serve();
  CHECK(world.take_order() == Order{1, 2, 1, 2});
}

TEST_CASE("a turn ends when it has received enough, and the next one goes on in line", "[turns]") {
  World world;
  world.turns.begin_turn();
  world.arrive(1, 512 * kib, large_room);
  world.arrive(2, 512 * kib, large_room);
  // The first took what a turn may receive; the second waits unread.
  CHECK(world.take_order() == Order{1, 2});  // nobody knew yet that it brings large values
  CHECK(world.serve() == 0);
  world.arrive(2, kib, large_room);
  world.arrive(3, 100);
  CHECK(world.take_order() == Order{3});  // who brings little never waits
  world.turns.begin_turn();
  CHECK(world.serve() == 1);
  CHECK(world.take_order() == Order{1});
}

TEST_CASE("a large value comes as a whole before the next one, but nobody stays first for ever", "[turns]") {
  World world;
  world.arrive(1, 4096 * kib, large_room);
  world.arrive(2, 4096 * kib, large_room);
  world.take_order();
  Order order;
  for (int turn = 0; turn < 12; ++turn) {
    world.turns.begin_turn();
    CHECK(world.serve() == 1);
    for (const std::uint32_t index : world.take_order()) order.push_back(index);
  }
  // The first read of each counts too: a megabyte in a row is four pieces.
  CHECK(order == Order{1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 2, 2});
}

TEST_CASE("a stream whose reading is off waits, and stands at the end when it is on again", "[turns]") {
  World world;
  world.arrive(1, 2 * small_room);
  world.arrive(2, 2 * small_room);
  world.take_order();
  world.peer(1).stream.reading = Reading::off;
  CHECK(world.serve() == 2);
  CHECK(world.take_order() == Order{2, 2});
  CHECK(world.turns.empty());
  world.arrive(1, 100);  // told by the poller meanwhile
  CHECK(world.turns.empty());
  CHECK(world.peer(1).stream.unread);
  world.arrive(3, small_room);
  world.take_order();
  world.peer(1).stream.reading = Reading::on;
  world.turns.stand_in_line(world.peer(1).stream);
  world.serve();
  CHECK(world.take_order() == Order{3, 1, 1});
  CHECK(world.peer(1).waiting == 0);
}

TEST_CASE("a stream is in line once, however often it is reported", "[turns]") {
  World world;
  world.arrive(1, 2 * small_room + 1);
  for (int i = 0; i < 100; ++i) world.turns.stand_in_line(world.peer(1).stream);
  world.take_order();
  world.serve();
  CHECK(world.take_order() == Order{1, 1});
  CHECK(world.turns.empty());
}

TEST_CASE("who was closed in line is passed over, and the line grows with those in it", "[turns]") {
  World world;
  for (std::uint32_t i = 0; i < 100; ++i) world.arrive(i, small_room + 1);
  world.take_order();
  for (std::uint32_t i = 0; i < 100; i += 2) world.close(i);
  world.turns.begin_turn();
  CHECK(world.serve() == 50);
  Order expected;
  for (std::uint32_t i = 1; i < 100; i += 2) expected.push_back(i);
  CHECK(world.take_order() == expected);
  CHECK(world.turns.empty());
}

}  // namespace fairlead::proxy
