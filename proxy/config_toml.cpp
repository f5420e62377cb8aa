// Reads the configuration file. The only file that includes toml++: header-only and without exceptions, which
// the packaged library is not.
#include "proxy/config_source.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "proxy/config_suggest.hpp"

#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#undef TOML_EXCEPTIONS
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace fairlead::proxy {
namespace {

class TomlReader {
 public:
  TomlReader(ConfigDraft& draft, std::string_view name) : draft_(draft), name_(name) {}

  void read_root(const toml::table& root);
  void fail(const toml::source_region& region, std::string_view sentence) {
    draft_.errors.push_back(fmt::format("{}: {}", position(region), sentence));
  }

 private:
  void read_section(std::string_view section, const toml::table& table);
  void read_value(const Option& option, const toml::key& key, const toml::node& node);
  void read_array(const Option& option, const toml::array& array, Mention mention);
  void unknown_section(const toml::key& key);
  void unknown_key(std::string_view section, const toml::key& key);
  [[nodiscard]] Item item(const Option& option, const toml::node& node, std::string text) const;
  [[nodiscard]] std::string position(const toml::source_region& region) const {
    return fmt::format("{}:{}:{}", name_, region.begin.line, region.begin.column);
  }

  ConfigDraft& draft_;
  std::string name_;
};

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

const char* expectation(OptionKind kind) {
  switch (kind) {
    case OptionKind::addresses:
    case OptionKind::words:
      return "an array of strings";
    case OptionKind::count:
      return "an integer without quotes";
    case OptionKind::duration:
      return "a string with a unit, for example \"10s\"";
    case OptionKind::size:
      return "a string with a unit, for example \"64mb\", or an integer of bytes";
    case OptionKind::toggle:
      return "true or false without quotes";
    case OptionKind::text:
    case OptionKind::secret:
    case OptionKind::secret_file:
    case OptionKind::choice:
      break;
  }
  return "a string";
}

/// The text to hand to the option, when the type of the value suits its kind.
std::optional<std::string> scalar_text(OptionKind kind, const toml::node& node) {
  const bool integers = kind == OptionKind::count || kind == OptionKind::duration || kind == OptionKind::size;
  if (const auto* const integer = node.as_integer(); integer != nullptr && integers) {
    return std::to_string(integer->get());
  }
  if (const auto* const boolean = node.as_boolean(); boolean != nullptr && kind == OptionKind::toggle) {
    return boolean->get() ? "true" : "false";
  }
  if (kind == OptionKind::count || kind == OptionKind::toggle) return std::nullopt;
  if (const auto* const text = node.as_string(); text != nullptr) return text->get();
  return std::nullopt;
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Option& option : option_list()) {
    if (names.empty() || names.back() != option.section) names.emplace_back(option.section);
  }
  return names;
}

/// `[proxy]`, or `[backend], [clients] or [stats]`: the sections that know the key; empty when none does.
std::string sections_with(std::string_view key) {
  std::vector<std::string> found;
  for (const std::string& section : section_names()) {
    if (find_option(section, key) != nullptr) found.push_back("[" + section + "]");
  }
  if (found.size() < 2) return found.empty() ? "" : found.front();
  const std::string last = found.back();
  found.pop_back();
  return fmt::format("{} or {}", fmt::join(found, ", "), last);
}

void TomlReader::read_root(const toml::table& root) {
  // toml++ keeps tables sorted by key; a person reads the file from the top.
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (const auto& [key, node] : root) entries.emplace_back(&key, &node);
  std::sort(entries.begin(), entries.end(), [](const auto& left, const auto& right) {
    return left.first->source().begin < right.first->source().begin;
  });
  const auto sections = section_names();
  for (const auto& [key, node] : entries) {
    const bool known = std::find(sections.begin(), sections.end(), key->str()) != sections.end();
    if (known && node->is_table()) {
      read_section(key->str(), *node->as_table());
    } else if (known) {
      fail(node->source(), fmt::format("'{0}' is a section; write [{0}]", key->str()));
    } else if (node->is_table() || node->is_array_of_tables()) {
      unknown_section(*key);
    } else {
      unknown_key("", *key);
    }
  }
}

void TomlReader::read_section(std::string_view section, const toml::table& table) {
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (const auto& [key, node] : table) entries.emplace_back(&key, &node);
  std::sort(entries.begin(), entries.end(), [](const auto& left, const auto& right) {
    return left.first->source().begin < right.first->source().begin;
  });
  for (const auto& [key, node] : entries) {
    const Option* const option = find_option(section, key->str());
    if (option == nullptr) {
      unknown_key(section, *key);
    } else {
      read_value(*option, *key, *node);
    }
  }
}

void TomlReader::read_value(const Option& option, const toml::key& key, const toml::node& node) {
  Mention mention{Source::file, position(key.source()), NameStyle::own, Reading::good};
  if (const auto* const array = node.as_array(); array != nullptr && is_list(option.kind)) {
    read_array(option, *array, std::move(mention));
  } else if (auto text = scalar_text(option.kind, node)) {
    apply(draft_, option, {item(option, node, std::move(*text))}, std::move(mention));
  } else {
    fail(node.source(), fmt::format("'{}' in [{}]: expects {}, not {}", option.key, option.section,
                                    expectation(option.kind), type_name(node)));
    mention.reading = Reading::failed;
    draft_.mentions[&option] = std::move(mention);
  }
}

/// The strings are read even if other elements are none, so that all errors come at once.
void TomlReader::read_array(const Option& option, const toml::array& array, Mention mention) {
  Items items;
  for (const toml::node& element : array) {
    if (const auto* const text = element.as_string(); text != nullptr) {
      items.push_back(item(option, element, text->get()));
    } else {
      fail(element.source(), fmt::format("'{}' in [{}]: expects strings in the array, not {}", option.key,
                                         option.section, type_name(element)));
    }
  }
  apply(draft_, option, items, std::move(mention));
  if (items.size() != array.size()) draft_.mentions[&option].reading = Reading::failed;
}

void TomlReader::unknown_section(const toml::key& key) {
  const std::string near = suggest(key.str(), section_names());
  const std::string question = near.empty() ? "" : fmt::format("; did you mean [{}]?", near);
  fail(key.source(), fmt::format("unknown section [{}]{}", key.str(), question));
}

void TomlReader::unknown_key(std::string_view section, const toml::key& key) {
  const std::string place = section.empty() ? "outside of a section" : fmt::format("in [{}]", section);
  const std::string home = sections_with(key.str());
  std::string hint;
  if (!home.empty()) {
    hint = fmt::format("; it belongs in {}", home);
  } else {
    std::vector<std::string> keys;
    for (const Option& option : option_list()) {
      if (section.empty() || option.section == section) keys.emplace_back(option.key);
    }
    const std::string near = suggest(key.str(), keys);
    if (!near.empty() && section.empty())
      hint = fmt::format("; did you mean '{}' in {}?", near, sections_with(near));
    if (!near.empty() && !section.empty()) hint = fmt::format("; did you mean '{}'?", near);
  }
  fail(key.source(), fmt::format("unknown key '{}' {}{}", key.str(), place, hint));
}

Item TomlReader::item(const Option& option, const toml::node& node, std::string text) const {
  return {std::move(text),
          fmt::format("{}: '{}' in [{}]", position(node.source()), option.key, option.section)};
}

}  // namespace

void read_toml(ConfigDraft& draft, std::string_view text, std::string_view name) {
  TomlReader reader(draft, name);
  const toml::parse_result parsed = toml::parse(text);
  if (parsed) {
    reader.read_root(parsed.table());
  } else {
    reader.fail(parsed.error().source(), parsed.error().description());
    draft.file = Reading::failed;
  }
}

}  // namespace fairlead::proxy
