#include "proxy/engine/info_section.hpp"

#include <algorithm>
#include <charconv>

#include "proxy/engine/client_command.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view text_format = "txt:";

void line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(":").append(value).append(line_end);
}

void line(std::string& out, std::string_view name, std::uint64_t value) {
  line(out, name, std::string_view(std::to_string(value)));
}

void add_blocked(std::string& text, std::uint64_t blocked) {
  constexpr std::string_view field = "blocked_clients:";
  const std::size_t at = text.find(field);
  if (at == std::string::npos) return;
  const std::size_t begin = at + field.size();
  const std::size_t end = std::min(text.find(line_end, begin), text.size());
  std::uint64_t count = 0;
  std::from_chars(text.data() + begin, text.data() + end, count);
  text.replace(begin, end - begin, std::to_string(count + blocked));
}

}  // namespace

InfoNeed info_need(const resp::CommandView& command) {
  if (command.size() == 1) return InfoNeed::both;
  bool ours = false;
  bool only_ours = true;
  for (std::uint32_t i = 1; i < command.size(); ++i) {
    const std::string_view section = command[i];
    const bool named = same_word(section, "fairlead");
    only_ours = only_ours && named;
    ours = ours || named || same_word(section, "default") || same_word(section, "all") ||
           same_word(section, "everything");
  }
  if (only_ours) return InfoNeed::ours;
  return ours ? InfoNeed::both : InfoNeed::server;
}

void append_info_section(std::string& out, const InfoFacts& facts) {
  out.append("# Fairlead").append(line_end);
  line(out, "fairlead_version", facts.version);
  line(out, "worker", facts.worker);
  line(out, "workers", facts.workers);
  line(out, "clients", facts.clients);
  line(out, "links", facts.links);
  line(out, "leases", facts.leases);
  line(out, "held", facts.held);
  line(out, "route", facts.route);
  line(out, "route_state", facts.route_state);
  line(out, "term", facts.term);
  line(out, "uncertain", facts.uncertain);
  line(out, "paused", facts.paused);
}

std::string with_section(std::string_view reply, std::string_view section, std::uint64_t blocked) {
  const std::size_t header_end = reply.find(line_end);
  const bool text = !reply.empty() && (reply.front() == '$' || reply.front() == '=');
  const bool whole = header_end != std::string_view::npos && reply.size() >= header_end + 2 * line_end.size();
  if (!text || !whole) return std::string(reply);
  std::string_view body = reply.substr(header_end + line_end.size());
  body.remove_suffix(line_end.size());
  const bool verbatim = reply.front() == '=';
  if (verbatim) body.remove_prefix(std::min(text_format.size(), body.size()));
  std::string longer(body);
  if (blocked > 0) add_blocked(longer, blocked);
  if (!longer.empty() && !section.empty()) longer += line_end;
  longer += section;
  std::string out;
  resp::append_verbatim(out, longer, verbatim ? resp::Version::resp3 : resp::Version::resp2);
  return out;
}

}  // namespace fairlead::engine
