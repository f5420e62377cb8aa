#include "proxy/config.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "proxy/config_check.hpp"
#include "proxy/config_value.hpp"

namespace fairlead::proxy {
namespace {

// No configuration is this long; a device or a log named by mistake may be endless.
constexpr std::size_t file_bytes_max = 1U << 20;

Parsed<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return {{}, fmt::format("{}: cannot be read: {}", path, std::strerror(errno))};
  std::string text;
  std::array<char, 8192> buffer{};
  for (;;) {
    const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get());
    text.append(buffer.data(), size);
    if (text.size() > file_bytes_max)
      return {{}, fmt::format("{}: is larger than 1mb; is it the right file?", path)};
    if (size < buffer.size()) break;
  }
  if (std::ferror(file.get()) != 0)
    return {{}, fmt::format("{}: cannot be read: {}", path, std::strerror(errno))};
  return {std::move(text), {}};
}

std::string file_name(const ConfigSources& sources) {
  if (!sources.file.empty() || !sources.environment) return sources.file;
  const char* const named = sources.environment("FAIRLEAD_CONFIG");
  return named == nullptr ? "" : named;
}

void read_config_file(ConfigDraft& draft, const ConfigSources& sources) {
  draft.options.config_file = file_name(sources);
  if (sources.file_text) {
    read_toml(draft, *sources.file_text, draft.options.config_file);
  } else if (!draft.options.config_file.empty()) {
    const auto text = read_file(draft.options.config_file);
    if (text.value) {
      read_toml(draft, *text.value, draft.options.config_file);
    } else {
      draft.errors.push_back(text.error);
      draft.file = Reading::failed;
    }
  }
}

bool is_secret(const Option& option) {
  return option.kind == OptionKind::secret || option.kind == OptionKind::secret_file;
}

/// `# ` and the words of the text, in lines that fit a terminal.
std::string comment(std::string_view text) {
  constexpr std::size_t line_max = 110;
  std::string result = "#";
  std::size_t column = 1;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column + 1 + word.size() > line_max) {
      result += "\n#";
      column = 1;
    }
    result.append(" ").append(word);
    column += 1 + word.size();
  }
  return result + "\n";
}

std::string names_comment(const Option& option) {
  std::string names = environment_name(option);
  for (const CompatibleName& name : option.compatible_names) names.append(", ").append(name.name);
  return option.flag.empty() ? names : fmt::format("{}, {}", option.flag, names);
}

}  // namespace

ConfigResult load_config(const ConfigSources& sources) {
  ConfigDraft draft;
  read_config_file(draft, sources);
  read_environment(draft, sources.environment);
  read_flags(draft, sources.flags);
  check_options(draft);
  complete_options(draft.options);
  return {std::move(draft.options), std::move(draft.errors), std::move(draft.mentions)};
}

std::string effective_config(const ConfigResult& result) {
  std::string text;
  std::string_view section;
  for (const Option& option : option_list()) {
    if (option.section != section) {
      text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", option.section);
      section = option.section;
    }
    const auto mention = result.mentions.find(&option);
    const bool named = mention != result.mentions.end();
    if (is_secret(option)) {
      if (named) text += fmt::format("# {} is set ({})\n", option.key, mention->second.origin);
      continue;
    }
    const std::string value = fmt::format("{} = {}", option.key, option.show(result.options));
    text += named ? fmt::format("{:<48} # {}\n", value, mention->second.origin) : value + "\n";
  }
  return text;
}

std::string example_config() {
  std::string text =
      comment(
          "The configuration of fairlead, with every option at its default. Take the sign # away from a "
          "line to change it.") +
      comment(
          "Flags win over the environment, the environment over this file. Check with: fairlead "
          "--check-config --config FILE") +
      comment("Durations have a unit (500ms, 10s, 5m, 1h), sizes may have one (64kb, 10mb, 1gb).");
  const Options defaults;
  std::string_view section;
  for (const Option& option : option_list()) {
    if (option.section != section) {
      section = option.section;
      text += fmt::format("\n{}[{}]\n", comment(section_help(section)), section);
    }
    text += "\n" + comment(option.help) + comment(names_comment(option));
    text += fmt::format("#{} = {}\n", option.key, option.show(defaults));
  }
  return text;
}

}  // namespace fairlead::proxy
