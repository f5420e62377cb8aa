// Small things every stepping test of the machines needs: a clock that tests move, replies as servers write
// them, actions as text.
#pragma once

#include <string>
#include <vector>

#include "health/link_fsm.hpp"
#include "resp/value.hpp"

namespace fairlead::health {

using Milliseconds = std::chrono::milliseconds;

inline TimePoint at(int ms) {
  return TimePoint{} + std::chrono::hours(1) + Milliseconds(ms);
}

/// Actions as one line each: `connect`, `close`, `PING`, `SENTINEL MASTER mymaster`. Taken: the list is empty
/// afterwards.
inline std::vector<std::string> take(LinkActions& actions) {
  std::vector<std::string> lines;
  for (const auto& action : actions) {
    std::string line;
    if (action.kind == LinkAction::Kind::connect) line = "connect";
    if (action.kind == LinkAction::Kind::close) line = "close";
    for (const auto& word : action.command) line += (line.empty() ? "" : " ") + word;
    lines.push_back(line);
  }
  actions.clear();
  return lines;
}

using Lines = std::vector<std::string>;

inline resp::Value bulks(const std::vector<std::string>& texts) {
  std::vector<resp::Value> items;
  for (const auto& text : texts) items.push_back(resp::make_bulk(text));
  return resp::make_array(std::move(items));
}

inline resp::Address local(int port) {
  return {"127.0.0.1", static_cast<std::uint16_t>(port), false};
}

}  // namespace fairlead::health
