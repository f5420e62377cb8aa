#include "proxy/admin/console_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "resp/writer.hpp"

namespace fairlead::proxy {

namespace {

using boost::json::kind;
using boost::json::value;
using resp::Version;

/// Wider cells are cut in tables; programs read RESP3.
constexpr std::size_t cell_width_max = 60;

const value* find(const value& row, std::string_view path) {
  const std::size_t dot = path.find('.');
  const auto* object = row.if_object();
  if (object == nullptr) return nullptr;
  const value* found = object->if_contains(path.substr(0, dot));
  if (found == nullptr || dot == std::string_view::npos) return found;
  return find(*found, path.substr(dot + 1));
}

std::string number_text(double number) {
  return number == std::floor(number) && std::abs(number) < 1e15 ? fmt::format("{:.0f}", number)
                                                                 : fmt::format("{:.1f}", number);
}

std::string cell(const value* v) {
  if (v == nullptr) return "-";
  switch (v->kind()) {
    case kind::null:
      return "-";
    case kind::bool_:
      return v->get_bool() ? "yes" : "no";
    case kind::int64:
      return std::to_string(v->get_int64());
    case kind::uint64:
      return std::to_string(v->get_uint64());
    case kind::double_:
      return number_text(v->get_double());
    case kind::string:
      return v->get_string().empty() ? "-" : std::string(v->get_string());
    case kind::array: {
      std::string joined;
      for (const value& item : v->get_array()) joined += (joined.empty() ? "" : " ") + cell(&item);
      return joined.empty() ? "-" : joined;
    }
    case kind::object: {
      std::string joined;
      for (const auto& [key, item] : v->get_object()) {
        joined += fmt::format("{}{}={}", joined.empty() ? "" : " ", std::string_view(key), cell(&item));
      }
      return joined;
    }
  }
  return "-";
}

using Row = std::vector<std::string>;

/// The last column is neither padded nor cut.
std::vector<std::string> align(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      widths[i] = std::max(widths[i], std::min(row[i].size(), cell_width_max));
    }
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      const std::string text = last ? row[i] : row[i].substr(0, cell_width_max);
      line += last ? text : fmt::format("{:<{}}  ", text, widths[i]);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

void append_json(std::string& out, const value& v) {
  switch (v.kind()) {
    case kind::null:
      resp::append_null(out, Version::resp3);
      break;
    case kind::bool_:
      resp::append_boolean(out, v.get_bool(), Version::resp3);
      break;
    case kind::int64:
      resp::append_integer(out, v.get_int64());
      break;
    case kind::uint64:
      resp::append_integer(out, static_cast<std::int64_t>(v.get_uint64()));
      break;
    case kind::double_:
      resp::append_double(out, v.get_double(), Version::resp3);
      break;
    case kind::string:
      resp::append_bulk(out, v.get_string());
      break;
    case kind::array:
      resp::append_array_header(out, v.get_array().size());
      for (const value& item : v.get_array()) append_json(out, item);
      break;
    case kind::object:
      resp::append_map_header(out, v.get_object().size(), Version::resp3);
      for (const auto& [key, item] : v.get_object()) {
        resp::append_bulk(out, key);
        append_json(out, item);
      }
      break;
  }
}

std::vector<std::string> table_lines(const value& v, const std::vector<ConsoleColumn>& columns) {
  std::vector<Row> rows;
  if (const auto* object = v.if_object()) {
    for (const auto& [key, item] : *object) rows.push_back({std::string(key), cell(&item)});
    return align(rows);
  }
  Row titles;
  for (const ConsoleColumn& column : columns) titles.emplace_back(column.title);
  rows.push_back(std::move(titles));
  if (const auto* list = v.if_array()) {
    for (const value& item : *list) {
      Row row;
      for (const ConsoleColumn& column : columns) row.push_back(cell(find(item, column.path)));
      rows.push_back(std::move(row));
    }
  }
  return align(rows);
}

}  // namespace fairlead::proxy
