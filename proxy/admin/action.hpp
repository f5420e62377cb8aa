// What an operator may order from the page, the console and /api/v1, and how it is answered. Plain data and
// one list of all actions; proxy/operator_desk does them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy {

enum class MayAct : std::uint8_t { no, yes };

struct AdminAction {
  std::string name;      // of action_list()
  std::string argument;  // what argument_of it names; empty: none was given
  std::string by;        // who asks, for the log and for other operators: `admin at 10.0.0.7 (page)`
};

struct ActionResult {
  std::string error;               // why not, with what to do instead; empty: it was done
  std::string text;                // what was done, as a sentence
  std::vector<std::string> lines;  // details, one sentence each
};

using ActionDone = std::function<void(const ActionResult&)>;
/// Calls `done` once, at once or later, on the same thread.
using ActFunction = std::function<void(const AdminAction&, ActionDone done)>;

enum class Argument : std::uint8_t { none, optional, required };

struct ActionSpec {
  std::string_view name;
  Argument argument;
  std::string_view argument_of;  // the parameter of the URL: client, server
  std::string_view usage;        // in the console
  std::string_view help;
};

[[nodiscard]] std::span<const ActionSpec> action_list();
/// Whatever its case; null: there is none.
[[nodiscard]] const ActionSpec* find_action(std::string_view name);

}  // namespace fairlead::proxy
