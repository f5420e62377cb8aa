// For tests: COMMAND replies, as servers of several versions write them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "resp/command_table.hpp"
#include "resp/value.hpp"

namespace fairlead::resp::testing {

enum class Shape { redis_5_0, redis_6_2, redis_7_resp2, redis_7_resp3 };

inline const std::vector<std::pair<std::string, std::uint32_t>> flag_names = {
    {"write", command_flag::write},
    {"readonly", command_flag::readonly},
    {"denyoom", command_flag::denyoom},
    {"admin", command_flag::admin},
    {"pubsub", command_flag::pubsub},
    {"noscript", command_flag::noscript},
    {"blocking", command_flag::blocking},
    {"loading", command_flag::loading},
    {"stale", command_flag::stale},
    {"skip_monitor", command_flag::skip_monitor},
    {"skip_slowlog", command_flag::skip_slowlog},
    {"asking", command_flag::asking},
    {"fast", command_flag::fast},
    {"no_auth", command_flag::no_auth},
    {"no_mandatory_keys", command_flag::no_mandatory_keys},
    {"no_async_loading", command_flag::no_async_loading},
    {"no_multi", command_flag::no_multi},
    {"movablekeys", command_flag::movable_keys},
    {"allow_busy", command_flag::allow_busy},
    {"module", command_flag::module_command},
};

inline Value simple(const std::string& text) {
  return {ValueType::simple, text, 0, {}};
}
inline Value bulk(const std::string& text) {
  return {ValueType::bulk, text, 0, {}};
}
inline Value integer(std::int64_t number) {
  return {ValueType::integer, {}, number, {}};
}
inline Value array(std::vector<Value> items) {
  return {ValueType::array, {}, 0, std::move(items)};
}

/// Maps and sets are arrays in RESP2.
inline Value map_of(Shape shape, std::vector<Value> items) {
  return {shape == Shape::redis_7_resp3 ? ValueType::map : ValueType::array, {}, 0, std::move(items)};
}
inline Value set_of(Shape shape, std::vector<Value> items) {
  return {shape == Shape::redis_7_resp3 ? ValueType::set : ValueType::array, {}, 0, std::move(items)};
}

inline Value key_spec_value(const KeySpec& spec, Shape shape) {
  std::vector<Value> begin, find;
  std::string begin_type = "unknown", find_type = "unknown";
  if (spec.begin == KeySpec::Begin::index) {
    begin_type = "index";
    begin = {bulk("index"), integer(spec.index)};
  } else if (spec.begin == KeySpec::Begin::keyword) {
    begin_type = "keyword";
    begin = {bulk("keyword"), bulk(spec.keyword), bulk("startfrom"), integer(spec.index)};
  }
  if (spec.find == KeySpec::Find::range) {
    find_type = "range";
    find = {bulk("lastkey"),    integer(spec.last_key), bulk("keystep"),
            integer(spec.step), bulk("limit"),          integer(spec.limit)};
  } else if (spec.find == KeySpec::Find::keynum) {
    find_type = "keynum";
    find = {bulk("keynumidx"), integer(spec.keynum_index), bulk("firstkey"), integer(spec.first_key),
            bulk("keystep"),   integer(spec.step)};
  }
  std::vector<Value> flags = {simple("RO"), simple("access")};
  if (spec.incomplete) flags.push_back(simple("incomplete"));
  return map_of(
      shape, {bulk("notes"), bulk("some words"), bulk("flags"), set_of(shape, std::move(flags)),
              bulk("begin_search"),
              map_of(shape, {bulk("type"), bulk(begin_type), bulk("spec"), map_of(shape, std::move(begin))}),
              bulk("find_keys"),
              map_of(shape, {bulk("type"), bulk(find_type), bulk("spec"), map_of(shape, std::move(find))})});
}

/// The members that all versions have, and the ACL categories since 6.0.
inline std::vector<Value> members(const CommandSpec& spec, Shape shape) {
  const bool old = shape == Shape::redis_5_0 || shape == Shape::redis_6_2;
  std::vector<Value> flags, categories;
  for (const auto& [name, bit] : flag_names) {
    if (old && bit == command_flag::blocking) continue;  // a flag since 7.0
    if (spec.is(bit)) flags.push_back(simple(name));
  }
  for (const std::string& category : spec.categories) categories.push_back(simple('@' + category));
  std::vector<Value> items = {
      bulk(spec.name),         integer(spec.arity),    set_of(shape, std::move(flags)),
      integer(spec.first_key), integer(spec.last_key), integer(spec.key_step)};
  if (shape != Shape::redis_5_0) items.push_back(set_of(shape, std::move(categories)));
  return items;
}

inline void add_redis_7_members(std::vector<Value>& items, const CommandSpec& spec, Shape shape,
                                std::vector<Value> subcommands) {
  std::vector<Value> key_specs;
  for (const KeySpec& key_spec : spec.key_specs) key_specs.push_back(key_spec_value(key_spec, shape));
  items.push_back(set_of(shape, {bulk("nondeterministic_output")}));
  items.push_back(set_of(shape, std::move(key_specs)));
  items.push_back(array(std::move(subcommands)));
}

inline Value entry_value(const CommandSpec& spec, Shape shape) {
  std::vector<Value> items = members(spec, shape);
  if (shape == Shape::redis_7_resp2 || shape == Shape::redis_7_resp3) {
    std::vector<Value> subcommands;
    for (const CommandSpec& subcommand : spec.subcommands) {
      if (subcommand.is_hidden) continue;
      std::vector<Value> sub_items = members(subcommand, shape);
      add_redis_7_members(sub_items, subcommand, shape, {});
      subcommands.push_back(array(std::move(sub_items)));
    }
    add_redis_7_members(items, spec, shape, std::move(subcommands));
  }
  return array(std::move(items));
}

/// What a server of that version says, were its commands those of the built-in table.
inline Value reply_of(Shape shape) {
  std::vector<Value> entries;
  for (const CommandSpec& spec : CommandTable::built_in()->commands()) {
    if (!spec.is_hidden) entries.push_back(entry_value(spec, shape));
  }
  return array(std::move(entries));
}

inline CommandSpec named(std::string name) {
  CommandSpec spec;
  spec.name = std::move(name);
  spec.arity = -1;
  return spec;
}

inline Value reply_named(const std::vector<std::string>& names) {
  std::vector<Value> entries;
  for (const std::string& name : names) entries.push_back(entry_value(named(name), Shape::redis_7_resp2));
  return array(std::move(entries));
}

}  // namespace fairlead::resp::testing
