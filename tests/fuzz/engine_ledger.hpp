// What the engine fuzzer knows of every command: whose it was, how often a server may have executed it, and
// what its client was told. Every command carries a tag, unique in one run, by which replies and executions
// are matched. Owned by the fuzzer's world; never seen by the Engine.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace fairlead::fuzz {

/// Ends the run: libFuzzer keeps the input.
[[noreturn]] inline void broken(const std::string& why) {
  std::fprintf(stderr, "broken: %s\n", why.c_str());
  std::abort();
}

/// Decisions, taken from the fuzzer's input one byte at a time.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool exhausted() const { return size_ == 0; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  /// 0 ... count - 1; 0 when there is nothing to choose from.
  std::size_t below(std::size_t count) { return count == 0 ? 0 : byte() % count; }
  std::string bytes(std::size_t count) {
    std::string text;
    while (text.size() < count && !exhausted()) text.push_back(static_cast<char>(byte()));
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

class Ledger {
 public:
  /// A client will send a write command. Numbers of one client grow in the order it sends them.
  void will_write(const std::string& tag, std::size_t client, std::size_t number) {
    writes_[tag] = Write{client, number};
  }
  /// The last byte of a write reached a server, which will execute it unless it refuses.
  void arrived(const std::string& tag) {
    Write* write = find(tag);
    if (write == nullptr) return;
    if (write->denied) broken(tag + " is sent after its client was told that it was not executed");
    if (++write->arrivals > 1) broken(tag + " is sent a second time");
  }
  void refused(const std::string& tag) {
    if (Write* write = find(tag)) --write->arrivals;
  }
  void executed(const std::string& tag) {
    Write* write = find(tag);
    if (write == nullptr) return;
    write->executed = true;
    std::size_t& last = last_executed_[write->client];
    if (write->number < last) broken(tag + " is executed after a later command of its client");
    last = write->number;
  }
  /// Its client was told that it was not executed. False when that may be wrong.
  [[nodiscard]] bool denied(const std::string& tag) {
    Write* write = find(tag);
    if (write == nullptr) return true;
    write->denied = true;
    return write->arrivals == 0;
  }
  /// Its client has the server's answer.
  void acknowledged(const std::string& tag) {
    Write* write = find(tag);
    if (write != nullptr && !write->executed) broken(tag + " is acknowledged and was never executed");
  }

 private:
  struct Write {
    std::size_t client = 0;
    std::size_t number = 0;
    int arrivals = 0;
    bool executed = false;
    bool denied = false;
  };

  Write* find(const std::string& tag) {
    const auto found = writes_.find(tag);
    return found == writes_.end() ? nullptr : &found->second;
  }

  std::map<std::string, Write> writes_;
  std::map<std::size_t, std::size_t> last_executed_;
};

}  // namespace fairlead::fuzz
