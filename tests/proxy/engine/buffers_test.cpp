#include <catch2/catch.hpp>
#include <random>

#include "proxy/engine/read_buffer.hpp"
#include "proxy/engine/timer_wheel.hpp"
#include "proxy/engine/write_queue.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using namespace std::chrono_literals;

TEST_CASE("chunks are recycled by size, and everything comes back") {
  ChunkPool pool;
  Chunk* first = nullptr;
  {
    const ChunkRef a(pool.take(100));
    first = a.get();
    CHECK(a->capacity == ChunkPool::small_bytes);
    const ChunkRef b = a;
    CHECK_FALSE(a.sole_owner());
    const ChunkRef large(pool.take(1 << 20));
    CHECK(large->capacity == 1 << 20);
    CHECK(pool.bytes_in_use() == ChunkPool::small_bytes + (1 << 20));
  }
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.bytes_retained() == ChunkPool::small_bytes + (1 << 20));
  const ChunkRef again(pool.take(1));
  CHECK(again.get() == first);
}

TEST_CASE("a large chunk serves again for its size, and not for much less") {
  ChunkPool pool;
  const Chunk* const first = ChunkRef(pool.take(600'000)).get();
  {
    const ChunkRef much_less(pool.take(300'000));
    CHECK(much_less.get() != first);
    const ChunkRef more(pool.take(700'000));
    CHECK(more.get() != first);
    const ChunkRef about_as_much(pool.take(500'000));
    CHECK(about_as_much.get() == first);
    CHECK(about_as_much->capacity == 600'000);
    CHECK(pool.bytes_in_use() == 300'000 + 700'000 + 600'000);
  }
  CHECK(pool.bytes_retained() == 300'000 + 700'000 + 600'000);
}

TEST_CASE("a kept chunk is lent for its size; what is not kept is not made") {
  ChunkPool pool;
  CHECK(pool.take_kept(100'000) == nullptr);
  const Chunk* const first = ChunkRef(pool.take(100'000)).get();
  ChunkRef(pool.take(ChunkPool::large_bytes));
  CHECK(pool.take_kept(0) == nullptr);
  CHECK(pool.take_kept(ChunkPool::large_bytes) == nullptr);  // of the pooled sizes there is always one
  CHECK(pool.take_kept(50'000'000) == nullptr);
  {
    const ChunkRef lent(pool.take_kept(99'000));
    CHECK(lent.get() == first);
    CHECK(lent.sole_owner());
    CHECK(pool.bytes_in_use() == 100'000);
    CHECK(pool.take_kept(99'000) == nullptr);
  }
  CHECK(pool.bytes_in_use() == 0);
}

TEST_CASE("large chunks of sizes that nobody asks for any more make room") {
  ChunkPool pool;
  {
    std::vector<ChunkRef> many;
    for (int i = 0; i < 100; ++i) many.emplace_back(pool.take(70'000));
  }
  CHECK(pool.bytes_retained() == ChunkPool::large_kept_max * 70'000);
  const Chunk* const huge = ChunkRef(pool.take(ChunkPool::retained_bytes_max)).get();
  CHECK(pool.bytes_retained() == ChunkPool::retained_bytes_max);
  CHECK(ChunkRef(pool.take(ChunkPool::retained_bytes_max)).get() == huge);
  ChunkRef(
      pool.take(ChunkPool::retained_bytes_max + 1));  // more than may be kept: nothing is given up for it
  CHECK(pool.bytes_retained() == ChunkPool::retained_bytes_max);
}

TEST_CASE("the pool keeps a bounded amount") {
  ChunkPool pool;
  {
    std::vector<ChunkRef> many;
    for (int i = 0; i < 1000; ++i) many.emplace_back(pool.take(ChunkPool::large_bytes));
  }
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.bytes_retained() <= ChunkPool::retained_bytes_max);
}

TEST_CASE("a write queue gives back the bytes it got, in order, however they are taken") {
  std::mt19937 random(20261120);
  BufferPool pool;
  for (int round = 0; round < 200; ++round) {
    WriteQueue queue;
    WriteQueue parked;
    std::string expected;
    std::string got;
    std::size_t taken = 0;
    for (int step = 0; step < 60; ++step) {
      const std::size_t size = random() % 4 == 0 ? random() % 40000 : random() % 300;
      const std::string piece(size, static_cast<char>('a' + random() % 26));
      switch (random() % 4) {
        case 0: {
          const Bytes where = queue.append_copy(pool, piece);
          CHECK(where.view() == piece);
          expected += piece;
          break;
        }
        case 1: {
          const ChunkRef chunk(pool.chunks.take(size));
          std::copy(piece.begin(), piece.end(), chunk->data());
          chunk->used = static_cast<std::uint32_t>(size);
          queue.append(pool, {chunk, 0, static_cast<std::uint32_t>(size)});
          expected += piece;
          break;
        }
        case 2:
          parked.append_copy(pool, piece);
          parked.append_copy(pool, "|");
          queue.splice(pool, parked);
          CHECK(parked.empty());
          expected += piece + "|";
          break;
        default: {
          ConstBytes buffers[4];
          const std::size_t count = queue.gather(buffers);
          std::size_t most = 0;
          for (std::size_t i = 0; i < count; ++i) most += buffers[i].size;
          const std::size_t now = most == 0 ? 0 : random() % (most + 1);
          std::size_t left = now;
          for (std::size_t i = 0; i < count && left > 0; ++i) {
            const std::size_t n = std::min(left, buffers[i].size);
            got.append(buffers[i].data, n);
            left -= n;
          }
          queue.consume(pool, now);
          taken += now;
        }
      }
      CHECK(queue.size() == expected.size() - taken);
    }
    while (!queue.empty()) {
      ConstBytes buffers[gather_max];
      const std::size_t count = queue.gather(buffers);
      std::size_t size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        got.append(buffers[i].data, buffers[i].size);
        size += buffers[i].size;
      }
      queue.consume(pool, size);
    }
    CHECK(got == expected);
  }
  CHECK(pool.chunks.bytes_in_use() == 0);
}

TEST_CASE("a frame that was copied stays readable while its queue moves on") {
  BufferPool pool;
  WriteQueue queue;
  const Bytes first = queue.append_copy(pool, "first");
  const Bytes second = queue.append_copy(pool, "second");
  CHECK(first.chunk.get() == second.chunk.get());
  queue.consume(pool, 11);
  CHECK(queue.empty());
  const Bytes third = queue.append_copy(pool, "third");
  CHECK(first.view() == "first");
  CHECK(second.view() == "second");
  CHECK(third.view() == "third");
  queue.clear(pool);
}

TEST_CASE("a read buffer takes over what is left, grows with what arrives, and lets go when empty") {
  ChunkPool pool;
  ReadBuffer buffer;
  {
    const ChunkRef shared(pool.take(ChunkPool::large_bytes));
    std::copy_n("GET a\r\nGE", 9, shared->data());
    buffer.adopt(shared, 9);
    CHECK(buffer.unread() == "GET a\r\nGE");
    buffer.consume(7);
    buffer.settle(pool, 3);
    CHECK(buffer.owns_chunk());
    CHECK(shared.sole_owner());
  }
  CHECK(buffer.unread() == "GE");
  std::string expected = "GE";
  while (expected.size() < 1'000'000) {
    const MutableBytes room = buffer.room(pool, 536'870'912);
    REQUIRE(room.size > 0);
    CHECK(pool.bytes_in_use() <= expected.size() * 8 + 16384 + 4096);
    std::fill_n(room.data, room.size, 'x');
    buffer.received(room.size);
    expected += std::string(room.size, 'x');
  }
  CHECK(buffer.unread() == expected);
  const Bytes kept = buffer.share(100);
  buffer.consume(expected.size());
  buffer.settle(pool, 1);
  CHECK(buffer.empty());
  CHECK(kept.view() == expected.substr(0, 100));
}

TEST_CASE("a read buffer copies a large frame few times while it arrives") {
  constexpr std::size_t frame = 512 * 1024 + 40;
  ChunkPool pool;
  ReadBuffer buffer;
  {
    const ChunkRef shared(pool.take(ChunkPool::large_bytes));
    std::fill_n(shared->data(), 65000, 'x');
    buffer.adopt(shared, 65000);
    buffer.settle(pool, frame);
  }
  std::size_t copied = 65000;
  while (buffer.size() < frame) {
    const char* before = buffer.unread().data();
    const MutableBytes room = buffer.room(pool, frame);
    if (buffer.unread().data() != before) copied += buffer.size();
    const std::size_t size = std::min({room.size, frame - buffer.size(), std::size_t{20000}});
    std::fill_n(room.data, size, 'x');
    buffer.received(size);
  }
  CHECK(copied == 65000);  // doubling would copy nearly twice the frame
  CHECK(pool.bytes_in_use() == frame);
  buffer.clear();
}

TEST_CASE("a read buffer keeps a chunk that it was lent once an eighth of it is full") {
  constexpr std::size_t capacity = 512 * 1024;
  constexpr std::size_t enough = (capacity - ChunkPool::medium_bytes) / 8;
  for (const std::size_t arrived : {std::size_t{1}, enough - 1, enough, capacity}) {
    ChunkPool pool;
    ReadBuffer buffer;
    ChunkRef lent(pool.take(capacity));
    const char* const where = lent->data();
    std::fill_n(lent->data(), arrived, 'x');
    buffer.take_over(std::move(lent), arrived);
    CHECK(buffer.owns_chunk());
    buffer.settle(pool, capacity);
    CHECK(buffer.unread() == std::string(arrived, 'x'));
    CHECK((buffer.unread().data() == where) == (arrived >= enough));
    CHECK(pool.bytes_in_use() <= arrived * 8 + ChunkPool::medium_bytes);
    buffer.consume(arrived);
    buffer.settle(pool, capacity);
    CHECK(pool.bytes_in_use() == 0);
  }
}

TEST_CASE("a read buffer does not keep the chunk of a large frame for what came behind it") {
  ChunkPool pool;
  ReadBuffer buffer;
  ChunkRef lent(pool.take(200'000));
  std::fill_n(lent->data(), 200'000, 'x');
  buffer.take_over(std::move(lent), 200'000);
  Bytes frame = buffer.share(199'998);
  buffer.consume(199'998);
  buffer.settle(pool, 3);
  CHECK(buffer.unread() == "xx");
  frame = Bytes();
  CHECK(pool.bytes_in_use() <= ChunkPool::medium_bytes);
  buffer.clear();
}

TEST_CASE("timers fire once, never early, in bounded time, whatever their distance") {
  const health::TimePoint start{1h};
  TimerWheel wheel(start);
  std::mt19937 random(7);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<Timer>());
    wheel.arm(*timers.back(), start + std::chrono::milliseconds(random() % 20000));
  }
  timers[3]->cancel();
  timers[4].reset();
  std::size_t fired = 0;
  health::TimePoint now = start;
  while (now < start + 21s) {
    now += std::chrono::milliseconds(1 + random() % 50);
    wheel.advance(now, [&](Timer& timer) {
      ++fired;
      CHECK(timer.deadline <= now);
      CHECK(now - timer.deadline <= 50ms + 2 * TimerWheel::tick);
      CHECK_FALSE(timer.armed());
    });
    if (const auto next = wheel.next_deadline()) CHECK(*next + 60ms >= now);
  }
  CHECK(fired == 498);
  CHECK_FALSE(wheel.next_deadline().has_value());
}
