// What SHOW can tell: each topic is a part of the API with the columns of its table. Constant data.
#pragma once

#include <string_view>
#include <vector>

#include "proxy/admin/console_table.hpp"

namespace fairlead::proxy {

struct ConsoleTopic {
  std::string_view name;
  std::string_view part;  // of the API; empty: the options in force
  std::string_view help;
  std::vector<ConsoleColumn> columns;  // empty: lines of name and value
};

[[nodiscard]] const std::vector<ConsoleTopic>& topics();

}  // namespace fairlead::proxy
