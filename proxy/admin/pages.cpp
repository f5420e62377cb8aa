#include "proxy/admin/pages.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <random>
#include <utility>

#include "proxy/admin/api.hpp"
#include "proxy/admin/haproxy_table.hpp"
#include "proxy/admin/http_login.hpp"
#include "proxy/admin/page_files.hpp"
#include "proxy/admin/text.hpp"

namespace fairlead::proxy {

namespace {

constexpr std::string_view api_prefix = "/api/v1/";
constexpr std::string_view action_prefix = "/api/v1/actions/";

/// Everything comes from this process; nothing else may frame the page or take its forms.
constexpr std::string_view content_policy =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

HttpReply reply_of(unsigned status, std::string_view content_type, std::string body) {
  HttpReply reply;
  reply.status = status;
  reply.content_type = content_type;
  reply.body = std::move(body);
  reply.headers.emplace_back("Content-Security-Policy", content_policy);
  reply.headers.emplace_back("Referrer-Policy", "no-referrer");
  return reply;
}

HttpReply json_reply(unsigned status, std::string body) {
  return reply_of(status, "application/json", std::move(body));
}

/// `sentence` is our own text: nothing in it needs escaping.
HttpReply json_error(unsigned status, std::string_view sentence) {
  return json_reply(status, fmt::format("{{\"error\":\"{}\"}}\n", sentence));
}

/// The value of `name` in the target's query; our parameters are numbers, which nobody escapes.
std::string query_value(std::string_view target, std::string_view name) {
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  rest = rest.substr(0, rest.find('#'));
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return std::string(pair.substr(name.size() + 1));
    }
  }
  return {};
}

/// HAProxy's options stand behind the path or the query: `/stats;csv;norefresh`, `/haproxy?stats;up`.
bool has_option(std::string_view target, std::string_view option) {
  std::size_t at = target.find(';');
  while (at != std::string_view::npos) {
    const std::size_t next = target.find(';', at + 1);
    if (target.substr(at + 1, next == std::string_view::npos ? next : next - at - 1) == option) return true;
    at = next;
  }
  return false;
}

bool is_page(std::string_view path) {
  path = path.substr(0, path.find(';'));
  return path == "/" || path == "/stats" || path == "/haproxy_stats" || path == "/haproxy";
}

HttpReply page(const PageProvider& provider, std::string_view target) {
  const DownServers down = has_option(target, "up") ? DownServers::hidden : DownServers::shown;
  if (has_option(target, "csv")) {
    return reply_of(200, "text/plain; charset=utf-8", haproxy_csv(provider.snapshot(), down));
  }
  if (has_option(target, "json")) return json_reply(200, haproxy_json(provider.snapshot(), down));
  const PageFile* index = find_page_file("index.html");
  return reply_of(200, index->content_type, std::string(index->body));
}

HttpReply api(const PageProvider& provider, std::string_view target, std::string_view name) {
  if (name == "status") {
    ApiReader reader;
    reader.may_act = provider.may_act == MayAct::yes;
    reader.token = provider.token;
    const std::string after = query_value(target, "after");
    std::from_chars(after.data(), after.data() + after.size(), reader.history_after_ms);
    return json_reply(200, api_status(provider.snapshot(), reader));
  }
  const auto part = api_part(provider.snapshot(), name);
  if (part) return json_reply(200, *part);
  return json_error(404, "no such part; /api/v1/status has everything");
}

bool same_origin(const HttpRequestView& request) {
  if (request.origin.empty() || request.host.empty()) return false;
  const std::size_t scheme = request.origin.find("://");
  return scheme != std::string_view::npos && request.origin.substr(scheme + 3) == request.host;
}

/// Its time does not depend on where the first difference is.
bool equal_tokens(std::string_view given, std::string_view expected) {
  if (given.size() != expected.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected[i]));
  }
  return difference == 0;
}

/// What a query may hold of `%41`; anything else stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    const bool escaped = text[i] == '%' && i + 2 < text.size() &&
                         std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    decoded += escaped ? static_cast<char>(value) : text[i];
    if (escaped) i += 2;
  }
  return decoded;
}

std::string asker(const HttpRequestView& request) {
  const std::string user = user_of(request.authorization);
  return fmt::format("{}{} (page)", user.empty() ? "" : user + " at ",
                     request.peer.empty() ? std::string_view("somebody") : request.peer);
}

HttpReply answer_of(const ActionResult& result) {
  boost::json::object body;
  body["done"] = result.error.empty();
  if (!result.error.empty()) body["error"] = printable(result.error);
  if (!result.text.empty()) body["text"] = printable(result.text);
  boost::json::array lines;
  for (const std::string& line : result.lines) lines.push_back(boost::json::string(printable(line)));
  body["lines"] = std::move(lines);
  return json_reply(result.error.empty() ? 200 : 409, boost::json::serialize(body) + "\n");
}

HttpReply action(const PageProvider& provider, const HttpRequestView& request, std::string_view name) {
  if (request.method != "POST") {
    HttpReply reply = json_error(405, "actions are asked for by POST");
    reply.headers.emplace_back("Allow", "POST");
    return reply;
  }
  if (provider.may_act == MayAct::no) {
    return json_error(403, "actions are not allowed; set admin = true in [stats]");
  }
  if (!same_origin(request)) return json_error(403, "the request does not come from this page");
  if (!equal_tokens(request.csrf_token, provider.token)) {
    return json_error(403, "the page is out of date: load it again");
  }
  const ActionSpec* spec = find_action(name);
  if (spec == nullptr) return json_error(404, "there is no such action; HELP in the console lists all");
  const AdminAction order{std::string(spec->name),
                          percent_decoded(query_value(request.target, spec->argument_of)), asker(request)};
  if (spec->argument == Argument::required && order.argument.empty()) {
    return json_error(400, fmt::format("{} is missing in the query", spec->argument_of));
  }
  HttpReply reply;
  reply.later = [act = provider.act, order](std::function<void(HttpReply)> done) {
    act(order, [done = std::move(done)](const ActionResult& result) { done(answer_of(result)); });
  };
  return reply;
}

HttpReply answer(const PageProvider& provider, const HttpRequestView& request) {
  const std::string_view path = path_of(request.target);
  if (path.starts_with(action_prefix)) {
    return action(provider, request, path.substr(action_prefix.size()));
  }
  if (request.method != "GET" && request.method != "HEAD") {
    HttpReply reply = json_error(405, "only GET and HEAD are allowed here");
    reply.headers.emplace_back("Allow", "GET, HEAD");
    return reply;
  }
  if (is_page(path)) return page(provider, request.target);
  if (path.starts_with(api_prefix)) return api(provider, request.target, path.substr(api_prefix.size()));
  if (path.starts_with("/assets/")) {
    const PageFile* file = find_page_file(path.substr(std::string_view("/assets/").size()));
    if (file != nullptr) return reply_of(200, file->content_type, std::string(file->body));
  }
  return reply_of(404, "text/plain; charset=utf-8",
                  "not found; here are /, /stats, /api/v1/status, /metrics, /healthz and /readyz\n");
}

}  // namespace

HttpHandler make_pages(PageProvider provider) {
  return
      [provider = std::move(provider)](const HttpRequestView& request) { return answer(provider, request); };
}

std::string make_token() {
  // std::random_device reads the kernel's generator on Linux.
  std::random_device device;
  std::string token;
  for (int i = 0; i < 4; ++i) token += fmt::format("{:08x}", device());
  return token;
}

}  // namespace fairlead::proxy
