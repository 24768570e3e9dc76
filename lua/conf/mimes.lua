--- Media types by extension for `files`: what sites are made of. Others are application/octet-stream.
local types = {
  ["text/html"] = "html htm shtml", ["text/css"] = "css", ["text/plain"] = "txt log", ["text/markdown"] = "md", ["text/csv"] = "csv",
  ["text/xml"] = "xml", ["text/calendar"] = "ics", ["text/vtt"] = "vtt", ["text/javascript"] = "js mjs", ["application/json"] = "json map",
  ["application/ld+json"] = "jsonld", ["application/manifest+json"] = "webmanifest", ["application/atom+xml"] = "atom",
  ["application/rss+xml"] = "rss", ["application/xhtml+xml"] = "xhtml", ["application/wasm"] = "wasm", ["application/pdf"] = "pdf",
  ["application/zip"] = "zip", ["application/gzip"] = "gz tgz", ["application/zstd"] = "zst", ["application/x-tar"] = "tar",
  ["application/x-7z-compressed"] = "7z", ["application/x-bzip2"] = "bz2", ["application/x-xz"] = "xz",
  ["application/java-archive"] = "jar", ["application/epub+zip"] = "epub", ["application/yaml"] = "yaml yml",
  ["image/png"] = "png", ["image/jpeg"] = "jpg jpeg", ["image/gif"] = "gif", ["image/webp"] = "webp", ["image/avif"] = "avif",
  ["image/svg+xml"] = "svg", ["image/x-icon"] = "ico", ["image/bmp"] = "bmp", ["image/tiff"] = "tif tiff", ["image/heic"] = "heic",
  ["font/woff2"] = "woff2", ["font/woff"] = "woff", ["font/ttf"] = "ttf", ["font/otf"] = "otf", ["audio/mpeg"] = "mp3",
  ["audio/ogg"] = "ogg opus", ["audio/wav"] = "wav", ["audio/flac"] = "flac", ["audio/mp4"] = "m4a", ["audio/aac"] = "aac",
  ["video/mp4"] = "mp4 m4v", ["video/webm"] = "webm", ["video/quicktime"] = "mov", ["video/mpeg"] = "mpg mpeg", ["video/mp2t"] = "ts",
  ["application/vnd.apple.mpegurl"] = "m3u8", ["application/dash+xml"] = "mpd",
}

local M = {}

--- A table of the model from { extension = type }.
---@param map table<string, string>
---@return table
function M.model(map)
  local extensions, list = {}, {}
  for extension in pairs(map) do
    extensions[#extensions + 1] = extension
  end
  table.sort(extensions)
  for i, extension in ipairs(extensions) do
    list[i] = map[extension]
  end
  return { extensions = extensions, types = list }
end

--- The table above as { extension = type }.
function M.usual()
  local map = {}
  for type, extensions in pairs(types) do
    for extension in extensions:gmatch("%S+") do
      map[extension] = type
    end
  end
  return map
end

return M
