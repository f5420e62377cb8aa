// The parts of the API as RESP: maps and arrays for programs that speak RESP3, lines of an aligned table for
// people, whose redis-cli speaks RESP2. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy {

struct ConsoleColumn {
  std::string_view title;
  std::string_view path;  // of the value in a row; `a.b` is a member of a member
};

/// The value as it is, for RESP3.
void append_json(std::string& out, const boost::json::value& value);

/// A list of objects, one line each below a line of titles; an object as lines of name and value when
/// `columns` is empty.
[[nodiscard]] std::vector<std::string> table_lines(const boost::json::value& value,
                                                   const std::vector<ConsoleColumn>& columns);

}  // namespace fairlead::proxy
