// A small owning tree of one reply, for the control plane only (COMMAND, ROLE, SENTINEL ..., HELLO) and for
// tests. Never used for clients' data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::resp {

enum class ValueType : std::uint8_t {
  simple,
  error,
  integer,
  bulk,
  array,
  null,
  boolean,
  real,
  big_number,
  verbatim,
  map,
  set,
  push
};

struct Value {
  ValueType type = ValueType::null;
  std::string text;          // simple, error, bulk, real, big_number, verbatim (without its `txt:` prefix)
  std::int64_t integer = 0;  // integer; boolean as 0 or 1
  std::vector<Value> items;  // array, set, push; map: key, value, key, value

  [[nodiscard]] bool is_error() const { return type == ValueType::error; }
  [[nodiscard]] bool is_text() const {
    return type == ValueType::simple || type == ValueType::bulk || type == ValueType::verbatim;
  }
  /// The value behind a text key of a map, or of a flat array of pairs as RESP2 writes maps. nullptr when
  /// absent.
  [[nodiscard]] const Value* find(std::string_view key) const;
  friend bool operator==(const Value&, const Value&) = default;
};

/// Builders, for tests and conversions.
[[nodiscard]] Value make_bulk(std::string_view text);
[[nodiscard]] Value make_simple(std::string_view text);
[[nodiscard]] Value make_integer(std::int64_t number);
[[nodiscard]] Value make_array(std::vector<Value> items);
[[nodiscard]] Value make_error(std::string_view text);

enum class ParseStatus : std::uint8_t { need_more, complete, malformed };
struct ParsedValue {
  ParseStatus status = ParseStatus::need_more;
  std::size_t consumed = 0;  // complete: bytes of the reply
  Value value;
};
/// Parses one whole reply from the start of `bytes`; nesting is bounded by value_depth_max and handled by an
/// explicit stack, sizes by what is really there. Attributes are skipped.
[[nodiscard]] ParsedValue parse_value(std::string_view bytes);
constexpr int value_depth_max = 32;

}  // namespace fairlead::resp
