# Writes the files of the stats page as string literals into one C++ file: cmake -DOUTPUT=... -DFILES=a;b -P this.
# A literal may not be longer than 64 KB in portable C++, and pieces of one are joined by the compiler.
set(rows "")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  get_filename_component(extension "${file}" LAST_EXT)
  file(READ "${file}" text)
  if(text MATCHES "\\)page\"")
    message(FATAL_ERROR "${file} contains the end mark of the literal that is to hold it")
  endif()
  if(extension STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL ".svg")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "${file}: no content type is known for ${extension}")
  endif()
  string(APPEND rows "    {\"${name}\", \"${type}\", R\"page(${text})page\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by embed_page.cmake from the files in proxy/admin/page; changes belong there.
#include \"proxy/admin/page_files.hpp\"

namespace fairlead::proxy {

namespace {
constexpr PageFile files[] = {
${rows}};
}  // namespace

const PageFile* find_page_file(std::string_view name) {
  for (const PageFile& file : files) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

}  // namespace fairlead::proxy
")
