#include "proxy/engine/slow_log.hpp"

#include <utility>

namespace fairlead::engine {

namespace {

bool may_carry_a_secret(const resp::CommandSpec* spec) {
  if (spec == nullptr) return true;
  namespace flag = resp::command_flag;
  return spec->is(flag::admin) || spec->is(flag::skip_slowlog) || spec->is(flag::no_auth) ||
         spec->id == resp::CommandId::auth || spec->id == resp::CommandId::hello || spec->name == "migrate";
}

}  // namespace

void SlowLog::add(SlowCommand entry) {
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  if (entries_.size() > length_max) entries_.pop_back();
}

std::vector<std::string> shown_args(const resp::CommandSpec* spec, const resp::CommandView& command) {
  std::vector<std::string> args;
  const bool cut = command.size() > SlowLog::args_max;
  const std::uint32_t count = cut ? SlowLog::args_max - 1 : command.size();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view arg = command[i];
    if (i > 0 && may_carry_a_secret(spec)) {
      args.emplace_back("(redacted)");
      return args;
    }
    std::string shown(arg.substr(0, SlowLog::arg_bytes_max));
    if (arg.size() > SlowLog::arg_bytes_max) {
      shown += "... (" + std::to_string(arg.size() - SlowLog::arg_bytes_max) + " more bytes)";
    }
    args.push_back(std::move(shown));
  }
  if (cut) args.push_back("... (" + std::to_string(command.size() - count) + " more arguments)");
  return args;
}

}  // namespace fairlead::engine
