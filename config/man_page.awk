# SPDX-License-Identifier: Apache-2.0
# What a program's --help prints, as a page for man(1). -v heading=0 for the page itself, 1 for a
# subcommand that goes into it.
#
# "usage: " and the lines behind it that are indented by 7 are the synopsis. A line that is indented
# by 2 to 8 starts an item: left part, two or more spaces, text; lines that are indented further go
# on with its text. A paragraph that ends in a colon before items is their title, one that starts
# with "exit status:" the section of that name. The rest are paragraphs.

function escape(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	gsub(/~/, "\\(ti", text)
	gsub(/\^/, "\\(ha", text)
	return text
}

# A new paragraph; the first one after a heading needs no request.
function part() {
	if (!fresh)
		print ".PP"
	fresh = 0
}

function line(text) {
	text = escape(text)
	print (text ~ /^[.']/ ? "\\&" : "") text
}

# Words as they are typed are bold, those that stand for others are not.
function tag(text,    words, n, i, shown) {
	n = split(text, words, " ")
	for (i = 1; i <= n; i++) {
		words[i] = escape(words[i])
		if (words[i] ~ /^\[?\\?-|^[a-z]/)
			words[i] = "\\fB" words[i] "\\fR"
		else if (words[i] ~ /[A-Z]/)
			words[i] = "\\fI" words[i] "\\fR"
		shown = shown (i > 1 ? " " : "") words[i]
	}
	return shown
}

function paragraph_ends(before_item) {
	if (paragraph == "")
		return
	if (tolower(paragraph) ~ /^exit status: /) {
		if (heading) {
			part()
			print "Exit status:"
		} else {
			print ".SH EXIT STATUS"
		}
		line(substr(paragraph, 14))
	} else if (before_item && paragraph ~ /:$/ && !heading) {
		sub(/:$/, "", paragraph)
		print ".SS \"" escape(toupper(substr(paragraph, 1, 1)) substr(paragraph, 2)) "\""
	} else {
		part()
		line(paragraph)
	}
	paragraph = ""
}

function synopsis(text) {
	sub(/^(usage:)? +/, "", text)
	if (!in_synopsis)
		print (heading ? "" : ".SH SYNOPSIS\n") ".nf"
	in_synopsis = 1
	print tag(text)
}

function synopsis_ends() {
	if (!in_synopsis)
		return
	print ".fi"
	if (!heading) {
		print ".SH DESCRIPTION"
		fresh = 1
	}
	in_synopsis = 0
}

/^usage: / || (in_synopsis && /^       [^ ]/) { synopsis($0); next }

{ synopsis_ends() }

/^$/ { paragraph_ends(0); next }

/^  +[^ ]/ {
	match($0, /^ +/)
	rest = substr($0, RLENGTH + 1)
	if (RLENGTH > 8) {
		line(rest)
		next
	}
	paragraph_ends(1)
	print ".TP"
	fresh = 0
	if (match(rest, /  +/)) {
		print tag(substr(rest, 1, RSTART - 1))
		line(substr(rest, RSTART + RLENGTH))
	} else {
		print tag(rest)
	}
	next
}

tolower($0) ~ /^exit status: / { paragraph_ends(0) }

{ paragraph = paragraph (paragraph == "" ? "" : " ") $0 }

END { paragraph_ends(0) }
