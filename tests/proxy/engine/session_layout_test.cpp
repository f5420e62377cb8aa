// Where sessions lie in memory: how they are named, and how many cache lines a command touches.
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/engine/session.hpp"
#include "proxy/engine/slot_array.hpp"

namespace fairlead::engine {
namespace {

/// Counts how many there are.
struct Item {
  Item(ConnId id_, int& alive_) : id(id_), alive(&alive_) { ++*alive; }
  Item(const Item&) = delete;
  Item& operator=(const Item&) = delete;
  ~Item() { --*alive; }

  ConnId id;
  int* alive;
};

std::ptrdiff_t offset_in(const Session& session, const void* member) {
  return static_cast<const char*>(member) - reinterpret_cast<const char*>(&session);
}

template <typename T>
std::ptrdiff_t end_in(const Session& session, const T& member) {
  return offset_in(session, &member + 1);
}

}  // namespace

TEST_CASE("a slot array finds what it made by its name, and nothing by any other", "[engine][slots]") {
  int alive = 0;
  SlotArray<Item> items(Side::client);
  CHECK(items.find({}) == nullptr);
  Item* first = items.create(alive);
  REQUIRE(first->id.valid());
  CHECK(items.find(first->id) == first);
  CHECK(items.find({}) == nullptr);
  CHECK(items.find({first->id.index, first->id.generation, Side::backend}) == nullptr);
  CHECK(items.find({first->id.index, first->id.generation + 1, Side::client}) == nullptr);
  CHECK(items.find({first->id.index + 1, first->id.generation, Side::client}) == nullptr);  // an empty slot
  CHECK(items.find({1U << 20U, 1, Side::client}) == nullptr);
  CHECK(items.size() == 1);
}

TEST_CASE("what was released has no name any more, and lives until it is collected", "[engine][slots]") {
  int alive = 0;
  SlotArray<Item> items(Side::client);
  Item* first = items.create(alive);
  const ConnId name = first->id;
  items.release(*first);
  CHECK(items.size() == 0);
  CHECK(items.find(name) == nullptr);
  CHECK(alive == 1);
  CHECK(first->id == name);
  // Its place is not anybody's yet.
  Item* second = items.create(alive);
  CHECK(second != first);
  CHECK(second->id.index != name.index);
  items.collect();
  CHECK(alive == 1);
  CHECK(items.find(second->id) == second);
  // Now it is, under another name.
  Item* third = items.create(alive);
  CHECK(third == first);
  CHECK(third->id.index == name.index);
  CHECK(third->id.generation != name.generation);
  CHECK(items.find(name) == nullptr);
}

TEST_CASE("objects of a slot array stay where they are, and are visited in the order of their slots",
          "[engine][slots]") {
  int alive = 0;
  {
    SlotArray<Item> items(Side::client);
    std::vector<Item*> made;
    for (int i = 0; i < 1000; ++i) made.push_back(items.create(alive));
    for (Item* item : made) REQUIRE(items.find(item->id) == item);
    for (std::size_t i = 0; i < made.size(); i += 3) items.release(*made[i]);
    std::vector<Item*> seen;
    items.for_each([&](Item& item) {
      seen.push_back(&item);
      if (seen.size() == 2) items.release(item);  // whoever is visited may go
    });
    std::vector<Item*> expected;
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (i % 3 != 0) expected.push_back(made[i]);
    }
    CHECK(seen == expected);
    CHECK(items.size() == expected.size() - 1);
    CHECK(alive == 1000);
    items.collect();
    CHECK(alive == static_cast<int>(items.size()));
  }
  CHECK(alive == 0);
}

// With thousands of clients each cache line of a session is a miss. Whoever adds a member to the first part
// of Session moves another one out.
TEST_CASE("what every command touches of its session lies in four cache lines", "[engine][slots]") {
  constexpr std::ptrdiff_t line = 64;
  static_assert(alignof(Session) == line);
  const resp::CommandLimits limits;
  auto session = std::make_unique<Session>(ConnId{0, 1, Side::client}, 1, limits);
  const Session& s = *session;
  for (const std::ptrdiff_t end :
       {end_in(s, s.id), end_in(s, s.mode), end_in(s, s.in), end_in(s, s.subscriber), end_in(s, s.slots),
        end_in(s, s.out), end_in(s, s.in_flight), end_in(s, s.window), end_in(s, s.last_command),
        end_in(s, s.link_in_use), end_in(s, s.dirty_hook), end_in(s, s.held_since),
        end_in(s, s.last_bytes_at), end_in(s, s.active_at), end_in(s, s.reply_bytes), end_in(s, s.user),
        end_in(s, s.lease)}) {
    CHECK(end <= 4 * line);
  }
  // Of the reader: limits, state, and how many bytes are needed.
  CHECK(offset_in(s, &s.reader) + 24 <= 4 * line);
}

}  // namespace fairlead::engine
