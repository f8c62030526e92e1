"""Guards of files and of what strangers send: one is broken at a time, and the test files named must notice."""

from __future__ import annotations

from .mutation import Mutation

ATOMIC, WORK = "io/results/atomic.py", ("io/results/test_work_folder.py",)
LAYOUT, HOSTILE = "io/results/fit_layout.py", ("io/results/test_hostile_fits.py",)
REMOTE = ("io/backends/test_remote.py",)
VIDEO = ("io/recordings/video/test_places.py",)
OUTPUT = ("cli/test_output.py",)
SHEETS = ("io/test_spreadsheets.py",)
WRITE = ("io/results/test_write.py",)
DESTINATION = ("io/results/test_destination.py",)

GUARDS = [
    # the work folder is ours
    Mutation(
        "a link as work folder is followed",
        ATOMIC,
        "if not stat.S_ISDIR(status.st_mode):",
        "if folder.is_file():",
        WORK,
    ),
    Mutation(
        "a folder of another owner is taken",
        ATOMIC,
        "if not just_made and not _is_own(status, folder.parent):",
        "if False:",
        WORK,
    ),
    Mutation("the work folder is open to others", ATOMIC, "folder.chmod(0o700)", "folder.chmod(0o755)", WORK),
    Mutation(
        "copies are open to others",
        ATOMIC,
        "os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))",
        "os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))",
        WORK,
    ),
    Mutation(
        "the file of a lock may be any",
        ATOMIC,
        "if not stat.S_ISREG(lock.st_mode) or lock.st_nlink > 1 or lock.st_size:",
        "if False:",
        WORK,
    ),
    Mutation(
        "every name in the work folder is removed",
        ATOMIC,
        "if _MADE.fullmatch(name) and not (keep_lock and name == _LOCK):",
        "if not (keep_lock and name == _LOCK):",
        WORK,
    ),
    # what may be replaced
    Mutation("pipes are opened", "io/special_files.py", 'stat.S_ISFIFO: "a pipe", ', "", DESTINATION),
    Mutation(
        "a text file is overwritten",
        "io/results/destination.py",
        "if has_output and target.exists():\n        _require_nwb(target)",
        "if False:\n        _require_nwb(target)",
        DESTINATION,
    ),
    Mutation(
        "the output may be a device",
        "io/results/destination.py",
        '    refuse_special(target, "the output")\n',
        "",
        DESTINATION,
    ),
    Mutation(
        "a fit may have any name",
        "io/results/write.py",
        'known = all(char.isalnum() or char in "_-. " for char in name) and name.isprintable()',
        "known = True",
        WRITE,
    ),
    # the fit goes into the file that was read, and what leads to a fit survives it
    Mutation(
        "the fit goes into another session",
        "io/results/staleness.py",
        'if source.get("identifier") and str(source["identifier"]) != check.identifier:\n        what',
        "if False:\n        what",
        ("io/results/test_staleness.py", *WRITE),
    ),
    Mutation(
        "the fit goes to another object",
        "io/results/staleness.py",
        "if known and found and found != known:",
        "if False:",
        ("io/results/test_staleness.py", *WRITE),
    ),
    Mutation(
        "the fit goes into a file whose values have changed",
        "io/results/staleness.py",
        "    if stale:\n        raise",
        "    if False:\n        raise",
        ("io/results/test_staleness.py", *WRITE),
    ),
    Mutation(
        "an overwrite leaves references to nothing",
        "io/results/write.py",
        "    refuse_references(file, path, chosen, fix=beside)",
        "    pass",
        ("io/results/test_references.py",),
    ),
    Mutation(
        "references in compound columns are not seen",
        "io/results/scripts/references.py",
        "return any(has_references(part[0]) for part in dtype.fields.values())",
        "return False",
        ("io/results/test_references.py", "io/results/test_links.py", "io/results/test_verify.py"),
    ),
    Mutation(
        "edited intervals are not stale",
        "io/results/staleness.py",
        'answers += [(True, why) for why in self._compare_tables(source.get("intervals") or {})]',
        "answers += []",
        ("io/results/test_staleness.py",),
    ),
    # a stored fit is data
    Mutation(
        "external links in a fit are followed", LAYOUT, "if isinstance(link, h5py.ExternalLink):", "if False:", HOSTILE
    ),
    Mutation("external storage of a fit is read", LAYOUT, "        if array.external:", "        if False:", HOSTILE),
    Mutation("virtual arrays of a fit are read", LAYOUT, "        if array.is_virtual:", "        if False:", HOSTILE),
    Mutation(
        "claimed sizes are believed",
        LAYOUT,
        "if claimed > stored * DENSEST + SMALL or (claimed and not stored):",
        "if False:",
        HOSTILE,
    ),
    Mutation(
        "segments may claim any frames",
        LAYOUT,
        'if counts.dtype.kind not in "iu" or (counts.astype(object) < 0).any() or sum(map(int, counts)) != n_times:',
        "if False:",
        HOSTILE,
    ),
    Mutation(
        "weights may be NaN",
        LAYOUT,
        'if values is not None and not (values.dtype.kind in "biuf" and np.isfinite(values).all()):',
        "if False:",
        HOSTILE,
    ),
    Mutation(
        "a header of weights may claim more than there is",
        "data/safetensors_header.py",
        "if len(data) < 8 or length > len(data) - 8:",
        "if len(data) < 8:",
        HOSTILE,
    ),
    Mutation(
        "arrays of weights may lie beyond the end",
        "data/safetensors_header.py",
        "if reached != len(data) - 8 - length:",
        "if False:",
        HOSTILE,
    ),
    Mutation(
        "documents nest without end",
        "data/stored_json.py",
        "    refuse_deep(document, what)\n    return",
        "    return",
        HOSTILE,
    ),
    Mutation(
        "an altered fit is like any other",
        "io/results/fit_hashes.py",
        "if known.get(part) != now.get(part))",
        "if False)",
        ("cli/test_results.py", "io/results/test_hostile_fits.py"),
    ),
    # text out of files
    Mutation(
        "control characters reach the terminal",
        "cli/output.py",
        'click.echo(clean_text(name_options(text), keep="\\n"), err=to_stderr)',
        "click.echo(name_options(text), err=to_stderr)",
        OUTPUT,
    ),
    Mutation(
        "spreadsheets run cells",
        "io/export.py",
        'return f"\'{text}" if text.startswith(FORMULA) or cell.lstrip()[:1] in FORMULA else text',
        "return text",
        SHEETS,
    ),
    Mutation(
        "spreadsheets run names of columns",
        "io/export.py",
        "return safe.rename(columns=defuse_cell)",
        "return safe",
        SHEETS,
    ),
    # videos
    Mutation(
        "videos lie anywhere",
        "io/recordings/video/files.py",
        "if not session.allow_outside and not is_inside(file, folder):",
        "if False:",
        VIDEO,
    ),
    Mutation(
        "videos lie outside the folder that is named",
        "io/recordings/video/files.py",
        "tried = [file for file in tried if session.allow_outside or is_inside(file, folder)]",
        "pass",
        VIDEO,
    ),
    Mutation(
        "videos open by any protocol",
        "io/recordings/video/decode.py",
        '"protocol_whitelist": "file", ',
        '"protocol_whitelist": "file,http,tcp", ',
        VIDEO,
    ),
    Mutation(
        "playlists open as videos",
        "io/recordings/video/decode.py",
        '"format_whitelist": ",".join(CONTAINERS)',
        '"protocol_blacklist": ""',
        VIDEO,
    ),
    Mutation(
        "kept frames are believed",
        "io/recordings/video/frame_cache.py",
        "if file.read() != _MARK + place.key.encode() + _hash_file(place.path, size).encode():",
        "if False:",
        (
            "io/recordings/video/test_video.py",
            "io/recordings/video/test_files.py",
            "io/recordings/video/test_frame_access.py",
        ),
    ),
    # servers
    Mutation(
        "another part than was asked for is taken",
        "io/backends/http.py",
        "if sent is None or sent[:2] != (start, stop - 1):",
        "if False:",
        REMOTE,
    ),
    Mutation(
        "a total that changes is taken",
        "io/backends/http.py",
        "if _version(response) != about.version or (sent is not None and sent[2] != about.size):",
        "if _version(response) != about.version:",
        REMOTE,
    ),
    Mutation(
        "another version is taken",
        "io/backends/http.py",
        "if _version(response) != about.version or (sent is not None and sent[2] != about.size):",
        "if sent is not None and sent[2] != about.size:",
        REMOTE,
    ),
    Mutation(
        "answers have no end",
        "io/backends/http.py",
        "            if len(data) > limit:\n",
        "            if False:\n",
        REMOTE,
    ),
    Mutation("retries have no end", "io/backends/http.py", "self._retries_left -= 1", "pass", REMOTE),
    Mutation(
        "a server may be slow for ever",
        "io/backends/timed_http.py",
        "time.monotonic() + allowed",
        "time.monotonic() + 20",
        REMOTE,
    ),
    Mutation(
        "blocks of another user are taken",
        "io/backends/block_cache.py",
        'return is_kind(about.st_mode) and (not hasattr(os, "getuid") or about.st_uid == os.getuid())',
        "return is_kind(about.st_mode)",
        REMOTE,
    ),
    Mutation(
        "damaged blocks are taken",
        "io/backends/block_cache.py",
        "return block if digest == _digest(block) else None",
        "return block",
        REMOTE,
    ),
    Mutation(
        "ids that refer to their own table are followed",
        "io/backends/session.py",
        "            _refuse_ids_that_refer(root, location)\n",
        "",
        ("cli/test_bad_input.py::test_ids_that_refer_to_their_own_table_are_refused_at_once",),
    ),
    # processes
    Mutation(
        "what a killed write started goes on",
        "io/results/scripts/child.py",
        "    end_with_parent()\n    # A terminal",
        "    # A terminal",
        ("io/results/test_clean_process.py",),
    ),
]
