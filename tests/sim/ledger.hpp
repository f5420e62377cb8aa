// What everybody knows in hindsight: every write, whose it was, where and how often it was executed, and what
// its client was told; and what went wrong when. The proxy never sees it. Owned by the World.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/schedule.hpp"

namespace fairlead::sim {

/// Names one execution of one write, in the logs of all servers that have it.
using WriteNumber = std::uint32_t;

enum class Told : std::uint8_t {
  nothing,    // no answer yet
  done,       // the server's own answer
  uncertain,  // -UNCERTAIN, or the client left before the answer
  not_done,   // an answer that says that it was not executed
};

struct Write {
  Told told = Told::nothing;
  int executions = 0;
  bool late = false;       // executed after a later one of its client: only an uncertain one may be
  WriteNumber number = 0;  // of the last execution
  std::size_t server = 0;
  TimePoint executed_at{};
  TimePoint told_at{};
  std::string reply;   // of the server that executed it
  int deliveries = 0;  // pops: to how many clients the value was given
};

/// `c<client>n<number>`: the tag that a command carries as its value.
struct Tag {
  std::size_t client = 0;
  std::size_t number = 0;
};
[[nodiscard]] std::string to_string(Tag tag);
[[nodiscard]] std::optional<Tag> parse_tag(std::string_view text);

/// What was done to the servers and the network.
struct Mishap {
  TimePoint begin{};
  TimePoint end{};  // what it did may still be felt later
  std::string what;
};

class Ledger {
 public:
  using Broken = std::function<void(std::string)>;
  Ledger(const Schedule& schedule, Broken broken) : schedule_(schedule), broken_(std::move(broken)) {}

  // Servers.
  [[nodiscard]] WriteNumber executed(std::string_view tag, std::size_t server, std::string_view reply);
  /// The value with this tag was popped for a client.
  [[nodiscard]] WriteNumber popped(std::string_view tag, std::size_t server);

  // Clients.
  void told(std::string_view tag, Told what);
  void received_pop(std::string_view tag);

  [[nodiscard]] const std::string* reply_of(std::string_view tag) const;
  using Writes = boost::unordered_flat_map<std::string, Write>;  // by tag
  [[nodiscard]] const Writes& writes() const { return writes_; }
  [[nodiscard]] const Writes& pops() const { return pops_; }
  /// Pops whose value was given to a client, and that were forgotten by a failover: the value was there
  /// again.
  [[nodiscard]] const std::vector<Write>& undone_pops() const { return undone_pops_; }

 private:
  const Schedule& schedule_;
  Broken broken_;
  WriteNumber last_number_ = 0;
  Writes writes_;
  Writes pops_;
  std::vector<Write> undone_pops_;
  std::map<std::size_t, std::size_t> last_executed_;  // by client: the number of its newest write
};

}  // namespace fairlead::sim
