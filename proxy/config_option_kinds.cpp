#include "proxy/config_option_kinds.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "proxy/config_suggest.hpp"

namespace fairlead::proxy {
namespace {

using Errors = std::vector<std::string>;

constexpr std::size_t secret_bytes_max = 4096;

Option make_option(OptionPlace place, OptionKind kind, std::string_view help) {
  return {.section = place.section, .key = place.key, .flag = place.flag, .kind = kind, .help = help};
}

std::string show_addresses(const std::vector<resp::Address>& addresses) {
  std::string result = "[";
  for (const resp::Address& address : addresses) {
    if (result.size() > 1) result += ", ";
    result += quote_toml(resp::to_string(address));
  }
  return result + "]";
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

/// The file's first line is the secret: editors and `echo` end it with a newline that is not meant.
Parsed<std::string> read_secret_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return {{}, fmt::format("'{}' cannot be read: {}", path, std::strerror(errno))};
  std::array<char, secret_bytes_max + 1> buffer{};
  const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get());
  if (std::ferror(file.get()) != 0)
    return {{}, fmt::format("'{}' cannot be read: {}", path, std::strerror(errno))};
  if (size > secret_bytes_max) {
    return {
        {},
        fmt::format("'{}' is larger than {} bytes; it must hold the secret alone", path, secret_bytes_max)};
  }
  std::string secret(buffer.data(), size);
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return {{}, fmt::format("'{}' is empty; write the secret into it", path)};
  if (has_control_character(secret)) {
    return {{}, fmt::format("'{}' has more than one line; it must hold the secret alone", path)};
  }
  return {std::move(secret), {}};
}

}  // namespace

Option make_addresses(OptionPlace place, std::string_view help, AddressRule rule,
                      Field<std::vector<resp::Address>> field, std::vector<CompatibleName> compatible_names) {
  Option option = make_option(place, OptionKind::addresses, help);
  option.compatible_names = std::move(compatible_names);
  option.set = [rule, field](Options& options, const Items& items) {
    Errors errors;
    std::vector<resp::Address> addresses;
    const bool none = items.size() == 1 && items.front().text == "none" && rule.none == NoneAllowed::yes;
    if (!none) {
      for (const Item& item : items) {
        auto parsed = parse_config_address(item.text, rule.default_port, rule.use);
        if (parsed.value) {
          addresses.push_back(std::move(*parsed.value));
        } else {
          errors.push_back(item_error(item, parsed.error));
        }
      }
    }
    if (errors.empty()) field(options) = std::move(addresses);
    return errors;
  };
  option.show = [field](Options options) { return show_addresses(field(options)); };
  return option;
}

Option make_words(OptionPlace place, std::string_view help, Field<std::vector<std::string>> field) {
  Option option = make_option(place, OptionKind::words, help);
  option.set = [field](Options& options, const Items& items) {
    Errors errors;
    std::vector<std::string> words;
    const bool none = items.size() == 1 && items.front().text == "none";
    for (const Item& item : none ? Items{} : items) {
      std::string word = item.text;
      std::transform(word.begin(), word.end(), word.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const bool blank = word.empty() || word.find_first_of(" \t\r\n") != std::string::npos;
      if (blank) {
        errors.push_back(
            item_error(item, fmt::format("'{}' is no word; subcommands are written as config|set", word)));
      } else {
        words.push_back(std::move(word));
      }
    }
    if (errors.empty()) field(options) = std::move(words);
    return errors;
  };
  option.show = [field](Options options) {
    std::string text;
    for (const std::string& word : field(options)) text += (text.empty() ? "" : ", ") + quote_toml(word);
    return "[" + text + "]";
  };
  return option;
}

Option make_text(OptionPlace place, std::string_view help, Field<std::string> field,
                 std::vector<CompatibleName> compatible_names) {
  Option option = make_option(place, OptionKind::text, help);
  option.compatible_names = std::move(compatible_names);
  option.set = [field](Options& options, const Items& items) -> Errors {
    field(options) = items.front().text;
    return {};
  };
  option.show = [field](Options options) { return quote_toml(field(options)); };
  return option;
}

Option make_name(OptionPlace place, std::string_view help, Field<std::string> field,
                 std::vector<CompatibleName> compatible_names) {
  Option option = make_text(place, help, field, std::move(compatible_names));
  option.set = [field](Options& options, const Items& items) -> Errors {
    const std::string& name = items.front().text;
    // Sentinel's own rule (sentinel.conf): a master's name has no spaces.
    if (name.empty() || has_control_character(name) || name.find(' ') != std::string::npos) {
      return {item_error(items.front(), fmt::format("'{}' is not a name; write one without spaces", name))};
    }
    field(options) = name;
    return {};
  };
  return option;
}

Option make_secret(OptionPlace place, std::string_view help, Field<std::string> field,
                   std::vector<CompatibleName> compatible_names) {
  Option option = make_text(place, help, field, std::move(compatible_names));
  option.kind = OptionKind::secret;
  option.show = [](const Options&) { return std::string("\"\""); };
  return option;
}

Option make_secret_file(OptionPlace place, std::string_view help, Field<std::string> field) {
  Option option = make_option(place, OptionKind::secret_file, help);
  option.set = [field](Options& options, const Items& items) -> Errors {
    const Item& item = items.front();
    auto secret = read_secret_file(item.text);
    if (!secret.value) return {item_error(item, secret.error)};
    field(options) = std::move(*secret.value);
    return {};
  };
  option.show = [](const Options&) { return std::string("\"\""); };
  return option;
}

Option make_duration(OptionPlace place, std::string_view help, Range<std::chrono::milliseconds> range,
                     Field<std::chrono::milliseconds> field) {
  Option option = make_option(place, OptionKind::duration, help);
  option.set = [range, field](Options& options, const Items& items) -> Errors {
    const auto parsed = parse_duration(items.front().text, range);
    if (!parsed.value) return {item_error(items.front(), parsed.error)};
    field(options) = *parsed.value;
    return {};
  };
  option.show = [field](Options options) { return quote_toml(format_duration(field(options))); };
  return option;
}

Option make_size(OptionPlace place, std::string_view help, Range<std::uint64_t> range,
                 Field<std::uint64_t> field) {
  Option option = make_option(place, OptionKind::size, help);
  option.set = [range, field](Options& options, const Items& items) -> Errors {
    const auto parsed = parse_size(items.front().text, range);
    if (!parsed.value) return {item_error(items.front(), parsed.error)};
    field(options) = *parsed.value;
    return {};
  };
  option.show = [field](Options options) { return quote_toml(format_size(field(options))); };
  return option;
}

Option make_toggle(OptionPlace place, std::string_view help, Field<bool> field) {
  Option option = make_option(place, OptionKind::toggle, help);
  option.set = [field](Options& options, const Items& items) -> Errors {
    const auto parsed = parse_toggle(items.front().text);
    if (!parsed.value) return {item_error(items.front(), parsed.error)};
    field(options) = *parsed.value;
    return {};
  };
  option.show = [field](Options options) { return std::string(field(options) ? "true" : "false"); };
  return option;
}

std::string unknown_choice(std::string_view word, const std::vector<std::string>& choices) {
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  const std::string near = suggest(word, choices);
  const std::string question = near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
  return fmt::format("'{}' is none of {}{}", word, all, question);
}

}  // namespace fairlead::proxy
