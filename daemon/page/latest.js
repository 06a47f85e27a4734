// SPDX-License-Identifier: Apache-2.0

/**
 * The newest of something large, for one panel: asked for only while the panel can be seen, and
 * never twice at a time. What is wanted meanwhile is asked for once, afterwards.
 */
export class Latest {
	#ask;
	#seen = false;
	#busy = false;
	#wanted = false;

	/** `ask`: asynchronous, does not throw. */
	constructor(panel, ask) {
		this.#ask = ask;
		new IntersectionObserver((entries) => {
			this.#seen = entries.at(-1).isIntersecting;
			this.#go();
		}).observe(panel);
		document.addEventListener('visibilitychange', () => this.#go());
	}

	want() {
		this.#wanted = true;
		this.#go();
	}

	async #go() {
		if (!this.#wanted || this.#busy || !this.#seen || document.hidden)
			return;
		this.#wanted = false;
		this.#busy = true;
		await this.#ask();
		this.#busy = false;
		this.#go();
	}
}
