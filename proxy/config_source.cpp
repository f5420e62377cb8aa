#include "proxy/config_source.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "proxy/config_value.hpp"

namespace fairlead::proxy {
namespace {

constexpr std::string_view file_suffix = "-file";

bool is_secret(const Option& option) {
  return option.kind == OptionKind::secret || option.kind == OptionKind::secret_file;
}

/// `password-file` for `password`, and the other way round.
const Option* other_form(const Option& option) {
  if (option.kind == OptionKind::secret)
    return find_option(option.section, std::string(option.key) + "-file");
  return find_option(option.section, option.key.substr(0, option.key.size() - file_suffix.size()));
}

/// nullptr when the variable is not set or empty.
const char* variable(const Environment& environment, std::string_view name) {
  const char* const value = environment(std::string(name).c_str());
  return value == nullptr || *value == '\0' ? nullptr : value;
}

Items make_items(const Option& option, std::string_view text, std::string_view where) {
  if (!is_list(option.kind)) return {{std::string(text), std::string(where)}};
  Items items;
  for (std::string& part : split_list(text)) items.push_back({std::move(part), std::string(where)});
  return items;
}

/// Puts the port of REDIS_PORT behind the host of REDIS_HOST, unless the host brings its own. A URL is passed
/// over: Kubernetes sets REDIS_PORT=tcp://10.96.0.1:6379 in every pod beside a service called redis, and that
/// says nothing about REDIS_HOST.
void add_port(Items& items, std::string_view port) {
  if (port.find("://") != std::string_view::npos) return;
  for (Item& item : items) {
    if (resp::parse_address(item.text, 0)) continue;
    const bool bare_v6 =
        std::count(item.text.begin(), item.text.end(), ':') > 1 && !item.text.starts_with('[');
    item.text = fmt::format("{}:{}", bare_v6 ? "[" + item.text + "]" : item.text, port);
  }
}

/// Whether the variable was there.
bool read_compatible(ConfigDraft& draft, const Option& option, const CompatibleName& name,
                     const Environment& environment) {
  const char* const text = variable(environment, name.name);
  if (text == nullptr) return false;
  Items items = make_items(option, text, name.name);
  const char* const port = name.port_name.empty() ? nullptr : variable(environment, name.port_name);
  if (port != nullptr) add_port(items, port);
  apply(draft, option, items,
        {Source::environment, std::string(name.name), NameStyle::compatible, Reading::good});
  return true;
}

void read_flag(ConfigDraft& draft, const FlagValues& flag) {
  const auto& list = option_list();
  const auto option = std::find_if(list.begin(), list.end(),
                                   [&](const Option& candidate) { return candidate.flag == flag.flag; });
  if (option == list.end() || flag.flag.empty()) {
    draft.errors.push_back(fmt::format("{}: unknown flag", flag.flag));
    return;
  }
  if (!is_list(option->kind) && flag.values.size() != 1) {
    draft.errors.push_back(fmt::format("{}: given {} times; give it once", flag.flag, flag.values.size()));
    return;
  }
  Items items;
  for (const std::string& value : flag.values) {
    for (Item& item : make_items(*option, value, flag.flag)) items.push_back(std::move(item));
  }
  apply(draft, *option, items, {Source::flags, flag.flag, NameStyle::own, Reading::good});
}

}  // namespace

void apply(ConfigDraft& draft, const Option& option, const Items& items, Mention mention) {
  if (is_secret(option)) {
    if (items.front().text.empty()) return;
    const auto other = draft.mentions.find(other_form(option));
    if (other != draft.mentions.end() && other->second.source == mention.source) {
      draft.errors.push_back(
          item_error(items.front(),
                     fmt::format("the same secret is given by {}; keep one of them", other->second.origin)));
      mention.reading = Reading::failed;
    }
  }
  if (mention.reading == Reading::good) {
    auto errors = option.set(draft.options, items);
    if (!errors.empty()) mention.reading = Reading::failed;
    draft.errors.insert(draft.errors.end(), std::make_move_iterator(errors.begin()),
                        std::make_move_iterator(errors.end()));
  }
  // Of a secret's two forms the stronger source's is in force; the weaker one's is no longer worth a mention.
  if (is_secret(option)) draft.mentions.erase(other_form(option));
  draft.mentions[&option] = std::move(mention);
}

void read_environment(ConfigDraft& draft, const Environment& environment) {
  if (!environment) return;
  for (const Option& option : option_list()) {
    const std::string own = environment_name(option);
    if (const char* const text = variable(environment, own); text != nullptr) {
      apply(draft, option, make_items(option, text, own),
            {Source::environment, own, NameStyle::own, Reading::good});
      continue;
    }
    for (const CompatibleName& name : option.compatible_names) {
      if (read_compatible(draft, option, name, environment)) break;
    }
  }
}

void read_flags(ConfigDraft& draft, const std::vector<FlagValues>& flags) {
  for (const FlagValues& flag : flags) read_flag(draft, flag);
}

const Option* find_option(std::string_view section, std::string_view key) {
  for (const Option& option : option_list()) {
    if (option.section == section && option.key == key) return &option;
  }
  return nullptr;
}

}  // namespace fairlead::proxy
