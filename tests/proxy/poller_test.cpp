// The Poller over real sockets: what is reported, how often, and that nothing is reported for ever.
#include "proxy/poller.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

using fairlead::engine::ConnId;
using fairlead::engine::Side;
using fairlead::proxy::Poller;
using Interest = Poller::Interest;

namespace {

/// Two connected sockets: `ours` is watched under a name, `theirs` is the peer.
struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ours = ends[0];
    theirs = ends[1];
  }
  ~Pair() {
    ::close(ours);
    if (theirs >= 0) ::close(theirs);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void say() const { REQUIRE(::write(theirs, "x", 1) == 1); }
  void hear() const {
    char byte = 0;
    REQUIRE(::read(ours, &byte, 1) == 1);
  }
  void leave() {
    ::close(theirs);
    theirs = -1;
  }

  int ours = -1;
  int theirs = -1;
  Interest interest = Interest::none;
};

struct Fixture {
  std::vector<Poller::Ready> look() {
    std::vector<Poller::Ready> seen;
    const std::size_t counted = poller.dispatch([&seen](const Poller::Ready& ready) {
      seen.push_back(ready);
      return true;
    });
    CHECK(counted == seen.size());
    return seen;
  }
  void want(Pair& pair, Interest wanted, ConnId id = {7, 9, Side::client}) {
    REQUIRE(poller.change(pair.ours, id, pair.interest, wanted) == 0);
    CHECK(pair.interest == wanted);
  }

  boost::asio::io_context context;
  Poller poller{context};
};

}  // namespace

TEST_CASE("all that are ready are reported in one look") {
  Fixture fixture;
  std::vector<Pair> pairs(10);
  for (std::uint32_t i = 0; i < pairs.size(); ++i) {
    fixture.want(pairs[i], Interest::read, {i, 1, Side::client});
    pairs[i].say();
  }
  CHECK(fixture.look().size() == pairs.size());
  CHECK(fixture.look().empty());
}

TEST_CASE("each arrival is reported once under the stream's name, read or not") {
  Fixture fixture;
  Pair pair;
  const ConnId id = GENERATE(ConnId{0, 1, Side::client}, ConnId{0x7fffffff, 0xffffffff, Side::backend},
                             ConnId{0x7fffffff, 0xffffffff, Side::client}, ConnId{3, 5, Side::backend});
  fixture.want(pair, Interest::read, id);
  CHECK(fixture.look().empty());
  for (int round = 0; round < 2; ++round) {
    pair.say();
    const auto seen = fixture.look();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].id == id);
    CHECK(seen[0].readable);
    CHECK_FALSE(seen[0].writable);
    CHECK_FALSE(seen[0].ended);
    CHECK(fixture.look().empty());
  }
}

TEST_CASE("what found nothing to do does not count") {
  Fixture fixture;
  Pair pair;
  Pair other;
  fixture.want(pair, Interest::read, {1, 1, Side::client});
  fixture.want(other, Interest::read, {2, 1, Side::client});
  pair.say();
  other.say();
  const auto is_first = [](const Poller::Ready& ready) { return ready.id.index == 1; };
  CHECK(fixture.poller.dispatch(is_first) == 1);
  CHECK(fixture.poller.dispatch(is_first) == 0);
}

TEST_CASE("only what is wanted is reported, but that also when it was there before") {
  Fixture fixture;
  Pair pair;
  pair.say();
  fixture.want(pair, Interest::write);
  auto seen = fixture.look();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].writable);
  CHECK_FALSE(seen[0].readable);
  fixture.want(pair, Interest::read_and_write);
  seen = fixture.look();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].writable);
  CHECK(seen[0].readable);
  fixture.want(pair, Interest::none);
  pair.say();
  CHECK(fixture.look().empty());
}

TEST_CASE("a full socket is reported when it takes bytes again") {
  Fixture fixture;
  Pair pair;
  const std::string block(4096, 'x');
  while (::write(pair.ours, block.data(), block.size()) > 0) {
  }
  REQUIRE(errno == EAGAIN);
  fixture.want(pair, Interest::read_and_write);
  CHECK(fixture.look().empty());
  std::string taken(1 << 20, ' ');
  while (::read(pair.theirs, taken.data(), taken.size()) > 0) {
  }
  const auto seen = fixture.look();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].writable);
}

TEST_CASE("an end that comes with the last bytes is told with them") {
  Fixture fixture;
  Pair pair;
  fixture.want(pair, Interest::read);
  pair.say();
  REQUIRE(::shutdown(pair.theirs, SHUT_WR) == 0);
  const auto seen = fixture.look();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].readable);
  CHECK(seen[0].ended);
}

TEST_CASE("a peer that leaves is told to whoever waits for anything, and to nobody else") {
  Fixture fixture;
  Pair pair;
  const Interest interest = GENERATE(Interest::read, Interest::write, Interest::none);
  fixture.want(pair, interest);
  fixture.look();
  pair.leave();
  const auto seen = fixture.look();
  if (interest == Interest::none) {
    CHECK(seen.empty());
  } else {
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].readable);
    CHECK(seen[0].writable);
    CHECK(seen[0].ended);
    CHECK(fixture.look().empty());
  }
}

TEST_CASE("a descriptor that cannot be waited for is an error, and waits for nothing") {
  Fixture fixture;
  Interest interest = Interest::none;
  CHECK(fixture.poller.change(-1, ConnId{1, 1, Side::client}, interest, Interest::read) == EBADF);
  CHECK(interest == Interest::none);
}

TEST_CASE("the io_context wakes up for a stream, each time it is told to") {
  Fixture fixture;
  Pair pair;
  fixture.want(pair, Interest::read);
  for (int round = 0; round < 3; ++round) {
    fixture.poller.wake();
    fixture.poller.wake();  // the same wait
    CHECK(fixture.context.poll() == 0);
    pair.say();
    CHECK(fixture.context.run_one_for(std::chrono::seconds(10)) == 1);
    CHECK(fixture.look().size() == 1);
    pair.hear();
    fixture.context.restart();
  }
}
