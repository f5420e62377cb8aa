#include "tests/sim/ledger.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fairlead::sim {

std::string to_string(Tag tag) {
  return "c" + std::to_string(tag.client) + "n" + std::to_string(tag.number);
}

std::optional<Tag> parse_tag(std::string_view text) {
  const std::size_t middle = text.find('n');
  if (text.empty() || text.front() != 'c' || middle == std::string_view::npos) return std::nullopt;
  Tag tag;
  const char* end = text.data() + text.size();
  const auto client = std::from_chars(text.data() + 1, text.data() + middle, tag.client);
  const auto number = std::from_chars(text.data() + middle + 1, end, tag.number);
  const bool good = client.ec == std::errc() && number.ec == std::errc() && number.ptr == end;
  return good ? std::optional(tag) : std::nullopt;
}

WriteNumber Ledger::executed(std::string_view tag, std::size_t server, std::string_view reply) {
  Write& write = writes_[std::string(tag)];
  write.number = ++last_number_;
  write.server = server;
  write.executed_at = schedule_.now();
  write.reply = reply;
  if (++write.executions > 1) broken_("I5: the write " + std::string(tag) + " is executed a second time");
  if (write.told == Told::not_done) {
    broken_("I5: the write " + std::string(tag) + " is executed after its client was told that it was not");
  }
  if (const auto parsed = parse_tag(tag)) {
    std::size_t& last = last_executed_[parsed->client];
    // A command whose answer was given up may still lie in a stopped server's socket, or in the network.
    if (parsed->number < last) {
      write.late = true;
    }
    last = std::max(last, parsed->number);
  }
  return write.number;
}

WriteNumber Ledger::popped(std::string_view tag, std::size_t server) {
  Write& pop = pops_[std::string(tag)];
  if (pop.told == Told::done) undone_pops_.push_back(std::exchange(pop, Write{}));
  pop.number = ++last_number_;
  pop.server = server;
  pop.executed_at = schedule_.now();
  ++pop.executions;
  return pop.number;
}

void Ledger::told(std::string_view tag, Told what) {
  Write& write = writes_[std::string(tag)];
  if (write.told != Told::nothing) broken_("I6: " + std::string(tag) + " is answered twice");
  write.told = what;
  write.told_at = schedule_.now();
  if (what == Told::done && write.late) {
    broken_("I6: the write " + std::string(tag) + " is acknowledged, and was executed after a later one");
  }
  if (what == Told::done && write.executions == 0) {
    broken_("I6: the write " + std::string(tag) + " is acknowledged and was never executed");
  }
  if (what == Told::not_done && write.executions > 0) {
    broken_("I5: the client is told that " + std::string(tag) + " was not executed, and it was");
  }
}

void Ledger::received_pop(std::string_view tag) {
  const auto found = pops_.find(std::string(tag));
  if (found == pops_.end())
    return broken_("I6: a client is given " + std::string(tag) + ", which nobody popped");
  found->second.told = Told::done;
  found->second.told_at = schedule_.now();
  ++found->second.deliveries;
}

const std::string* Ledger::reply_of(std::string_view tag) const {
  const auto found = writes_.find(std::string(tag));
  return found == writes_.end() || found->second.executions == 0 ? nullptr : &found->second.reply;
}

}  // namespace fairlead::sim
