#include "resp/value.hpp"

#include <utility>

#include "resp/decimal.hpp"

namespace fairlead::resp {

namespace {

Value make_text(ValueType type, std::string_view text) {
  Value value;
  value.type = type;
  value.text = text;
  return value;
}

// One aggregate whose elements are being read.
struct OpenAggregate {
  Value value;
  std::uint64_t items_left = 0;
  bool is_attribute = false;
};

class ValueParser {
 public:
  explicit ValueParser(std::string_view bytes) : bytes_(bytes) {}

  ParsedValue parse() {
    ParsedValue result;
    while (!done_ && result.status != ParseStatus::malformed) {
      result.status = read_element();
      if (result.status != ParseStatus::complete) return result;
    }
    result.consumed = at_;
    result.value = std::move(whole_);
    return result;
  }

 private:
  // Each reads one thing from at_ on. `complete`: it was read, and the tree has it.
  ParseStatus read_element();
  ParseStatus read_text(ValueType type);
  ParseStatus read_integer();
  ParseStatus read_bulk(char mark, ValueType type);
  ParseStatus read_aggregate(char mark, ValueType type);
  ParseStatus read_fixed(Value value);

  ParseStatus take_line(std::string_view& line);
  ParseStatus take_number(std::int64_t& number);
  void add(Value value);

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::vector<OpenAggregate> open_;
  Value whole_;
  bool done_ = false;
};

// Streamed types (`$?`, `*?`, `;`, `.`) are malformed: no Redis server sends them.
ParseStatus ValueParser::read_element() {
  if (at_ == bytes_.size()) return ParseStatus::need_more;
  const char mark = bytes_[at_++];
  switch (mark) {
    case '+':
      return read_text(ValueType::simple);
    case '-':
      return read_text(ValueType::error);
    case ':':
      return read_integer();
    case ',':
      return read_text(ValueType::real);
    case '(':
      return read_text(ValueType::big_number);
    case '_':
      return read_fixed(Value());
    case '#': {
      if (at_ == bytes_.size()) return ParseStatus::need_more;
      const char letter = bytes_[at_++];
      if (letter != 't' && letter != 'f') return ParseStatus::malformed;
      Value value;
      value.type = ValueType::boolean;
      value.integer = letter == 't' ? 1 : 0;
      return read_fixed(std::move(value));
    }
    case '$':
      return read_bulk(mark, ValueType::bulk);
    case '!':
      return read_bulk(mark, ValueType::error);
    case '=':
      return read_bulk(mark, ValueType::verbatim);
    case '*':
      return read_aggregate(mark, ValueType::array);
    case '~':
      return read_aggregate(mark, ValueType::set);
    case '>':
      return read_aggregate(mark, ValueType::push);
    case '%':
    case '|':
      return read_aggregate(mark, ValueType::map);
    default:
      return ParseStatus::malformed;
  }
}

ParseStatus ValueParser::read_text(ValueType type) {
  std::string_view line;
  const ParseStatus status = take_line(line);
  if (status == ParseStatus::complete) add(make_text(type, line));
  return status;
}

ParseStatus ValueParser::read_integer() {
  std::string_view line;
  const ParseStatus status = take_line(line);
  if (status != ParseStatus::complete) return status;
  const auto number = parse_integer(line);
  if (!number) return ParseStatus::malformed;
  add(make_integer(*number));
  return ParseStatus::complete;
}

ParseStatus ValueParser::read_bulk(char mark, ValueType type) {
  std::int64_t length = 0;
  const ParseStatus status = take_number(length);
  if (status != ParseStatus::complete) return status;
  if (length == -1 && mark == '$') {
    add(Value());
    return ParseStatus::complete;
  }
  constexpr std::size_t format_bytes = 4;  // `txt:`
  const std::size_t prefix = mark == '=' ? format_bytes : 0;
  if (length < static_cast<std::int64_t>(prefix)) return ParseStatus::malformed;
  const auto size = static_cast<std::size_t>(length);
  const std::size_t there = bytes_.size() - at_;
  if (there > size && bytes_[at_ + size] != '\r') return ParseStatus::malformed;
  if (there > size + 1 && bytes_[at_ + size + 1] != '\n') return ParseStatus::malformed;
  if (there < size + 2) return ParseStatus::need_more;
  add(make_text(type, bytes_.substr(at_ + prefix, size - prefix)));
  at_ += size + 2;
  return ParseStatus::complete;
}

ParseStatus ValueParser::read_aggregate(char mark, ValueType type) {
  std::int64_t count = 0;
  const ParseStatus status = take_number(count);
  if (status != ParseStatus::complete) return status;
  if (count == -1 && mark == '*') {
    add(Value());
    return ParseStatus::complete;
  }
  if (count < 0) return ParseStatus::malformed;
  if (open_.size() == static_cast<std::size_t>(value_depth_max)) return ParseStatus::malformed;
  const bool is_attribute = mark == '|';
  if (is_attribute && count == 0) return ParseStatus::complete;
  OpenAggregate aggregate;
  aggregate.value.type = type;
  aggregate.items_left = static_cast<std::uint64_t>(type == ValueType::map ? 2 * count : count);
  aggregate.is_attribute = is_attribute;
  if (count == 0) {
    add(std::move(aggregate.value));
  } else {
    open_.push_back(std::move(aggregate));  // the items' room grows as they come, whatever was announced
  }
  return ParseStatus::complete;
}

ParseStatus ValueParser::read_fixed(Value value) {
  std::string_view line;
  const ParseStatus status = take_line(line);
  if (status != ParseStatus::complete) return status;
  if (!line.empty()) return ParseStatus::malformed;
  add(std::move(value));
  return ParseStatus::complete;
}

// The text up to the next CR LF.
ParseStatus ValueParser::take_line(std::string_view& line) {
  const std::size_t end = bytes_.find("\r\n", at_);
  if (end == std::string_view::npos) return ParseStatus::need_more;
  line = bytes_.substr(at_, end - at_);
  at_ = end + 2;
  return ParseStatus::complete;
}

ParseStatus ValueParser::take_number(std::int64_t& number) {
  std::string_view line;
  const ParseStatus status = take_line(line);
  if (status != ParseStatus::complete) {
    return bytes_.size() - at_ > decimal_chars_max + 1 ? ParseStatus::malformed : status;
  }
  const auto parsed = parse_decimal(line);
  if (!parsed || *parsed > announced_max) return ParseStatus::malformed;
  number = *parsed;
  return ParseStatus::complete;
}

// Puts a whole value into the innermost open aggregate, and closes those that are full with it.
void ValueParser::add(Value value) {
  while (!open_.empty()) {
    OpenAggregate& parent = open_.back();
    if (!parent.is_attribute) parent.value.items.push_back(std::move(value));
    if (--parent.items_left != 0) return;
    const bool was_attribute = parent.is_attribute;
    value = std::move(parent.value);
    open_.pop_back();
    if (was_attribute) return;  // it describes the value that comes next, and is none itself
  }
  whole_ = std::move(value);
  done_ = true;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (type != ValueType::map && type != ValueType::array) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].is_text() && items[i].text == key) return &items[i + 1];
  }
  return nullptr;
}

Value make_bulk(std::string_view text) {
  return make_text(ValueType::bulk, text);
}

Value make_simple(std::string_view text) {
  return make_text(ValueType::simple, text);
}

Value make_error(std::string_view text) {
  return make_text(ValueType::error, text);
}

Value make_integer(std::int64_t number) {
  Value value;
  value.type = ValueType::integer;
  value.integer = number;
  return value;
}

Value make_array(std::vector<Value> items) {
  Value value;
  value.type = ValueType::array;
  value.items = std::move(items);
  return value;
}

ParsedValue parse_value(std::string_view bytes) {
  return ValueParser(bytes).parse();
}

}  // namespace fairlead::resp
