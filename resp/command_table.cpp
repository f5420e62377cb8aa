#include "resp/command_table.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <unordered_set>
#include <utility>

#include "resp/command_table_builtin.hpp"
#include "resp/command_traits.hpp"
#include "resp/name_fold.hpp"

namespace fairlead::resp {
namespace {

/// The parent is mixed in, so that `config|get` and `acl|get` fall on different slots.
std::uint64_t hash_name(const CommandSpec* parent, std::string_view name) {
  return hash_folded(std::bit_cast<std::uintptr_t>(parent), name);
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// `setname` of `client|setname`, when `parent` is `client`'s spec.
std::string_view name_within(const CommandSpec& spec, const CommandSpec* parent) {
  const std::string_view name = spec.name;
  return parent == nullptr ? name : name.substr(parent->name.size() + 1);
}

// --- Reading a COMMAND reply ---

bool is_list(const Value& value) {
  return value.type == ValueType::array || value.type == ValueType::set || value.type == ValueType::push;
}

/// Positions and arities are small; anything else is not a COMMAND reply and would only overflow later.
std::optional<int> small_integer(const Value* value) {
  constexpr std::int64_t magnitude_max = 1'000'000;
  if (value == nullptr || value->type != ValueType::integer) return std::nullopt;
  if (value->integer > magnitude_max || value->integer < -magnitude_max) return std::nullopt;
  return static_cast<int>(value->integer);
}

std::uint32_t flag_named(std::string_view name) {
  using namespace command_flag;
  static constexpr std::pair<std::string_view, std::uint32_t> names[] = {
      {"write", write},
      {"readonly", readonly},
      {"denyoom", denyoom},
      {"admin", admin},
      {"pubsub", pubsub},
      {"noscript", noscript},
      {"blocking", blocking},
      {"loading", loading},
      {"stale", stale},
      {"fast", fast},
      {"no_auth", no_auth},
      {"may_replicate", may_replicate},
      {"no_multi", no_multi},
      {"movablekeys", movable_keys},
      {"no_async_loading", no_async_loading},
      {"allow_busy", allow_busy},
      {"module", module_command},
      {"skip_monitor", skip_monitor},
      {"skip_slowlog", skip_slowlog},
      {"asking", asking},
      {"no_mandatory_keys", no_mandatory_keys},
      {"protected", protected_command},
      {"sentinel", sentinel},
      {"only_sentinel", only_sentinel},
  };
  const auto* found =
      std::find_if(std::begin(names), std::end(names), [name](const auto& n) { return n.first == name; });
  return found == std::end(names) ? 0 : found->second;  // a newer server's flag: nothing is known of it
}

/// The part of a key specification called `key`: its type's name, and the map of its numbers.
struct SpecPart {
  std::string_view type;
  const Value* numbers = nullptr;

  [[nodiscard]] std::optional<int> number(std::string_view name) const {
    return numbers == nullptr ? std::nullopt : small_integer(numbers->find(name));
  }
};

SpecPart spec_part(const Value& spec, std::string_view key) {
  const Value* part = spec.find(key);
  const Value* type = part == nullptr ? nullptr : part->find("type");
  if (type == nullptr || !type->is_text()) return {};
  return {type->text, part->find("spec")};
}

void read_begin_search(const SpecPart& part, KeySpec& spec) {
  if (part.type == "index") {
    const auto index = part.number("index");
    if (!index) return;
    spec.begin = KeySpec::Begin::index;
    spec.index = *index;
  } else if (part.type == "keyword") {
    const Value* keyword = part.numbers == nullptr ? nullptr : part.numbers->find("keyword");
    const auto start = part.number("startfrom");
    if (keyword == nullptr || !keyword->is_text() || !start) return;
    spec.begin = KeySpec::Begin::keyword;
    spec.keyword = keyword->text;
    spec.index = *start;
  }
}

void read_find_keys(const SpecPart& part, KeySpec& spec) {
  const auto step = part.number("keystep");
  if (!step) return;
  spec.step = *step;
  if (part.type == "range") {
    const auto last = part.number("lastkey");
    const auto limit = part.number("limit");
    if (!last || !limit) return;
    spec.find = KeySpec::Find::range;
    spec.last_key = *last;
    spec.limit = *limit;
  } else if (part.type == "keynum") {
    const auto keynum_index = part.number("keynumidx");
    const auto first = part.number("firstkey");
    if (!keynum_index || !first) return;
    spec.find = KeySpec::Find::keynum;
    spec.keynum_index = *keynum_index;
    spec.first_key = *first;
  }
}

/// What is not understood stays `unknown`, and find_keys() says so to whom it concerns.
KeySpec read_key_spec(const Value& value) {
  KeySpec spec;
  read_begin_search(spec_part(value, "begin_search"), spec);
  read_find_keys(spec_part(value, "find_keys"), spec);
  if (const Value* flags = value.find("flags"); flags != nullptr) {
    spec.incomplete = std::any_of(flags->items.begin(), flags->items.end(), [](const Value& flag) {
      return flag.is_text() && flag.text == "incomplete";
    });
  }
  return spec;
}

/// The members every version of COMMAND has: name, arity, flags, first key, last key, step. nullopt when they
/// are of another shape; the command is then unknown to fairlead, which is the safe side.
std::optional<CommandSpec> read_entry(const Value& entry) {
  if (!is_list(entry) || entry.items.size() < 6) return std::nullopt;
  const auto& items = entry.items;
  const auto arity = small_integer(&items[1]);
  const auto first = small_integer(&items[3]);
  const auto last = small_integer(&items[4]);
  const auto step = small_integer(&items[5]);
  if (!items[0].is_text() || items[0].text.empty() || !is_list(items[2])) return std::nullopt;
  if (!arity || !first || !last || !step) return std::nullopt;

  CommandSpec spec;
  spec.name = lowered(items[0].text);
  spec.arity = *arity;
  spec.first_key = *first;
  spec.last_key = *last;
  spec.key_step = *step;
  for (const Value& flag : items[2].items) spec.flags |= flag_named(flag.text);
  if (items.size() > 6) {
    if (!is_list(items[6])) return std::nullopt;
    for (const Value& category : items[6].items) {
      std::string_view name = category.text;
      if (name.starts_with('@')) name.remove_prefix(1);
      if (!name.empty()) spec.categories.emplace_back(name);
    }
  }
  if (items.size() > 8) {
    if (!is_list(items[8])) return std::nullopt;
    for (const Value& key_spec : items[8].items) spec.key_specs.push_back(read_key_spec(key_spec));
  }
  return spec;
}

/// As read_entry(), for names that are longer than `prefix`, begin with it and were not `seen` before.
std::optional<CommandSpec> read_new_entry(const Value& entry, std::string_view prefix,
                                          std::unordered_set<std::string>& seen) {
  std::optional<CommandSpec> spec = read_entry(entry);
  if (!spec || !spec->name.starts_with(prefix) || spec->name.size() == prefix.size()) return std::nullopt;
  if (!seen.insert(spec->name).second) return std::nullopt;
  return spec;
}

/// The subcommands of `container`, which stand in its tenth member since redis 7.0. Returns how many were
/// skipped.
std::size_t read_subcommands(const Value& entry, CommandSpec& container) {
  if (entry.items.size() < 10) return 0;
  const Value& list = entry.items[9];
  if (!is_list(list)) return 1;
  const std::string prefix = container.name + '|';
  std::unordered_set<std::string> seen;
  for (const Value& item : list.items) {
    std::optional<CommandSpec> spec = read_new_entry(item, prefix, seen);
    if (spec) container.subcommands.push_back(std::move(*spec));
  }
  return list.items.size() - container.subcommands.size();
}

// --- What the server does not say ---

const CommandSpec* find_named(const std::vector<CommandSpec>& specs, std::string_view name) {
  const auto found =
      std::find_if(specs.begin(), specs.end(), [name](const CommandSpec& s) { return s.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

/// Older servers say less: redis 5 names no categories, redis 6.2 no key specifications, and both mark
/// blocking commands by category only. `reference` is what redis 7.0 says of the same command, or null.
void fill_gaps(CommandSpec& spec, const CommandSpec* reference) {
  if (reference != nullptr) {
    if (spec.categories.empty()) spec.categories = reference->categories;
    if (spec.key_specs.empty() && spec.is(command_flag::movable_keys)) spec.key_specs = reference->key_specs;
  }
  if (std::find(spec.categories.begin(), spec.categories.end(), "blocking") != spec.categories.end()) {
    spec.flags |= command_flag::blocking;
  }
}

CommandSpec hidden_copy(const CommandSpec& spec) {
  CommandSpec copy = spec;
  copy.is_hidden = true;
  for (CommandSpec& subcommand : copy.subcommands) subcommand.is_hidden = true;
  return copy;
}

/// Adds hidden entries for what `known` treats specially and `specs` do not name. A top-level command only if
/// fairlead answers it itself, since any other is the server's to refuse; of a container that is there, every
/// special subcommand, since SCRIPT DEBUG, say, must not reach a shared link only because redis 6.2 names no
/// subcommands.
void add_hidden(std::vector<CommandSpec>& specs, const std::vector<CommandSpec>& known) {
  for (const CommandSpec& special : known) {
    const auto own = std::find_if(specs.begin(), specs.end(),
                                  [&](const CommandSpec& s) { return s.name == special.name; });
    if (own == specs.end()) {
      const bool answered_here = special.affinity == Affinity::local || special.affinity == Affinity::refused;
      if (answered_here) specs.push_back(hidden_copy(special));
      continue;
    }
    for (const CommandSpec& subcommand : special.subcommands) {
      if (subcommand.affinity == Affinity::shared || find_named(own->subcommands, subcommand.name) != nullptr)
        continue;
      own->subcommands.push_back(hidden_copy(subcommand));
    }
  }
}

}  // namespace

std::shared_ptr<const CommandTable> CommandTable::built_in() {
  static const std::shared_ptr<const CommandTable> table = [] {
    std::vector<CommandSpec> hidden = hidden_specs();
    for (CommandSpec& spec : hidden) assign_traits(spec);
    auto made = std::make_shared<CommandTable>();
    made->commands_ = built_in_specs();
    made->finish(hidden);
    return made;
  }();
  return table;
}

std::shared_ptr<const CommandTable> CommandTable::learn(const Value& command_reply) {
  if (!is_list(command_reply)) return nullptr;
  auto table = std::make_shared<CommandTable>();
  std::unordered_set<std::string> seen;
  for (const Value& entry : command_reply.items) {
    std::optional<CommandSpec> spec = read_new_entry(entry, {}, seen);
    if (!spec) {
      ++table->skipped_;
      continue;
    }
    table->skipped_ += read_subcommands(entry, *spec);
    table->commands_.push_back(std::move(*spec));
  }
  if (table->commands_.empty()) return nullptr;

  const std::shared_ptr<const CommandTable> reference = built_in();
  for (CommandSpec& spec : table->commands_) {
    fill_gaps(spec, reference->find(spec.name));
    for (CommandSpec& subcommand : spec.subcommands) fill_gaps(subcommand, reference->find(subcommand.name));
  }
  table->finish(reference->commands());
  return table;
}

std::shared_ptr<const CommandTable> CommandTable::with_denied(const std::vector<std::string>& names) const {
  const auto named = [&names](const CommandSpec& spec) {
    return std::find(names.begin(), names.end(), spec.name) != names.end();
  };
  const auto judge = [](CommandSpec& spec, Affinity refused_or_not) {
    if (refused_or_not == Affinity::refused) {
      spec.affinity = Affinity::refused;
    } else if (spec.affinity == Affinity::refused) {
      spec.affinity = spec.lease == LeaseSpan::none ? Affinity::shared : Affinity::leased;
    }
  };
  auto table = std::make_shared<CommandTable>();
  table->commands_ = commands_;
  table->skipped_ = skipped_;
  for (CommandSpec& spec : table->commands_) {
    const bool whole = named(spec);
    judge(spec, whole ? Affinity::refused : Affinity::shared);
    for (CommandSpec& subcommand : spec.subcommands) {
      judge(subcommand, whole || named(subcommand) ? Affinity::refused : Affinity::shared);
    }
  }
  table->index_all();
  return table;
}

std::vector<std::string> denied_by_default() {
  std::vector<std::string> names;
  for (const CommandSpec& spec : CommandTable::built_in()->commands()) {
    if (spec.affinity == Affinity::refused) names.push_back(spec.name);
    for (const CommandSpec& subcommand : spec.subcommands) {
      if (subcommand.affinity == Affinity::refused && spec.affinity != Affinity::refused) {
        names.push_back(subcommand.name);
      }
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

void CommandTable::finish(const std::vector<CommandSpec>& reference) {
  for (CommandSpec& spec : commands_) assign_traits(spec);
  add_hidden(commands_, reference);
  index_all();
}

void CommandTable::index_all() {
  std::size_t entries = 0;
  for (const CommandSpec& spec : commands_) {
    entries += 1 + spec.subcommands.size();
    name_bytes_max_ = std::max(name_bytes_max_, spec.name.size());
    for (const CommandSpec& subcommand : spec.subcommands) {
      name_bytes_max_ = std::max(name_bytes_max_, name_within(subcommand, &spec).size());
    }
  }
  slots_.assign(std::bit_ceil(2 * entries), {});
  slot_mask_ = slots_.size() - 1;
  for (CommandSpec& spec : commands_) {
    const bool fits = !spec.name.empty() && spec.name.size() <= 8 && spec.subcommands.empty();
    spec.name_word = fits ? load_up_to_8(spec.name.data(), spec.name.size()) : 0;
    insert(spec, nullptr);
    for (const CommandSpec& subcommand : spec.subcommands) insert(subcommand, &spec);
  }
}

void CommandTable::insert(const CommandSpec& spec, const CommandSpec* parent) {
  const std::string_view name = name_within(spec, parent);
  const std::uint64_t hash = hash_name(parent, name);
  std::size_t at = hash & slot_mask_;
  while (slots_[at].spec != nullptr) at = (at + 1) & slot_mask_;
  slots_[at] = {hash, name, &spec, parent};
}

// Inlined into its callers, of which one runs for every command: a sixth fewer instructions of a look-up.
[[gnu::always_inline]] inline const CommandSpec* CommandTable::find_in(const CommandSpec* parent,
                                                                       std::string_view name) const {
  if (name.empty() || name.size() > name_bytes_max_) return nullptr;
  const std::uint64_t hash = hash_name(parent, name);
  const Slot* slots = slots_.data();
  // Ends at a free slot: at least half of them are free.
  for (std::size_t at = hash & slot_mask_; slots[at].spec != nullptr; at = (at + 1) & slot_mask_) {
    const Slot& slot = slots[at];
    if (slot.hash == hash && slot.parent == parent && equals_folded(slot.name, name)) return slot.spec;
  }
  return nullptr;
}

const CommandSpec* CommandTable::find(const CommandView& command) const {
  if (command.empty()) return nullptr;
  const CommandSpec* spec = find_in(nullptr, command[0]);
  if (spec == nullptr || spec->subcommands.empty() || command.size() == 1) return spec;
  const CommandSpec* subcommand = find_in(spec, command[1]);
  return subcommand == nullptr ? spec : subcommand;
}

const CommandSpec* CommandTable::find(std::string_view name) const {
  const std::size_t bar = name.find('|');
  if (bar == std::string_view::npos) return find_in(nullptr, name);
  const CommandSpec* parent = find_in(nullptr, name.substr(0, bar));
  return parent == nullptr ? nullptr : find_in(parent, name.substr(bar + 1));
}

}  // namespace fairlead::resp
