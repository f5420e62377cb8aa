// How options of each kind are made: place and help from the caller, reading and showing from the kind. Used
// by config_option.cpp alone, to keep the list itself a table. Stateless.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "proxy/config_option.hpp"
#include "proxy/config_value.hpp"

namespace fairlead::proxy {

struct OptionPlace {
  std::string_view section;
  std::string_view key;
  std::string_view flag;
};

/// Where the value lives. A plain function, so that one entry of the list is one line of code.
template <class T>
using Field = T& (*)(Options&);

/// Whether the word `none` stands for an empty list, for flags and environment, which have no `[]`.
enum class NoneAllowed : std::uint8_t { no, yes };

struct AddressRule {
  std::uint16_t default_port = 0;
  AddressUse use = AddressUse::peer;
  NoneAllowed none = NoneAllowed::no;
};

template <class T>
struct Choice {
  std::string_view name;
  T value{};
};

[[nodiscard]] Option make_addresses(OptionPlace place, std::string_view help, AddressRule rule,
                                    Field<std::vector<resp::Address>> field,
                                    std::vector<CompatibleName> compatible_names = {});
/// Words in lower case; `none` or an empty array stands for no word.
[[nodiscard]] Option make_words(OptionPlace place, std::string_view help,
                                Field<std::vector<std::string>> field);
[[nodiscard]] Option make_text(OptionPlace place, std::string_view help, Field<std::string> field,
                               std::vector<CompatibleName> compatible_names = {});
/// Text that must not be empty.
[[nodiscard]] Option make_name(OptionPlace place, std::string_view help, Field<std::string> field,
                               std::vector<CompatibleName> compatible_names = {});
[[nodiscard]] Option make_secret(OptionPlace place, std::string_view help, Field<std::string> field,
                                 std::vector<CompatibleName> compatible_names = {});
[[nodiscard]] Option make_secret_file(OptionPlace place, std::string_view help, Field<std::string> field);
[[nodiscard]] Option make_duration(OptionPlace place, std::string_view help,
                                   Range<std::chrono::milliseconds> range,
                                   Field<std::chrono::milliseconds> field);
[[nodiscard]] Option make_size(OptionPlace place, std::string_view help, Range<std::uint64_t> range,
                               Field<std::uint64_t> field);
[[nodiscard]] Option make_toggle(OptionPlace place, std::string_view help, Field<bool> field);

/// The sentence about a word that is none of the choices.
[[nodiscard]] std::string unknown_choice(std::string_view word, const std::vector<std::string>& choices);

template <class T>
[[nodiscard]] Option make_count(OptionPlace place, std::string_view help, Range<std::uint64_t> range,
                                Field<T> field) {
  Option option{.section = place.section,
                .key = place.key,
                .flag = place.flag,
                .kind = OptionKind::count,
                .help = help};
  option.set = [range, field](Options& options, const Items& items) -> std::vector<std::string> {
    const auto parsed = parse_count(items.front().text, range);
    if (!parsed.value) return {item_error(items.front(), parsed.error)};
    field(options) = static_cast<T>(*parsed.value);
    return {};
  };
  option.show = [field](Options options) { return std::to_string(field(options)); };
  return option;
}

template <class T>
[[nodiscard]] Option make_choice(OptionPlace place, std::string_view help, std::vector<Choice<T>> choices,
                                 Field<T> field) {
  Option option{.section = place.section,
                .key = place.key,
                .flag = place.flag,
                .kind = OptionKind::choice,
                .help = help};
  for (const auto& choice : choices) option.choices.emplace_back(choice.name);
  option.set = [choices, names = option.choices, field](Options& options,
                                                        const Items& items) -> std::vector<std::string> {
    for (const auto& choice : choices) {
      if (choice.name != items.front().text) continue;
      field(options) = choice.value;
      return {};
    }
    return {item_error(items.front(), unknown_choice(items.front().text, names))};
  };
  option.show = [choices, field](Options options) {
    for (const auto& choice : choices) {
      if (choice.value == field(options)) return quote_toml(choice.name);
    }
    return std::string("\"\"");
  };
  return option;
}

}  // namespace fairlead::proxy
