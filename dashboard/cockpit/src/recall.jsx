// SPDX-License-Identifier: GPL-2.0
/* Bringing the memory of a VM back from swap: the button, its dialog, progress and result. */
import { useEffect, useId, useRef, useState } from "react";
import { explain } from "./dbus.js";
import { fill } from "./fill.js";
import { bytes, usec } from "./format.js";
import { swappedKnown } from "./history.js";
import { _, format } from "./i18n.js";
import {
	Alert, AlertActionCloseButton, Button, Card, CardBody, CardTitle, Form, FormGroup, FormHelperText, HelperText, HelperTextItem,
	Modal, ModalBody, ModalFooter, ModalHeader, Progress, TextInput, Title,
} from "./pf.js";
import { donePercent, isUnlimited, leftUSec } from "./recalls.js";

const PERMISSION = "org.apfd.recall";
const MIB = 2 ** 20;
/* As for --rate of apfctl: 1M to 1T. */
const RATE_MAX_MIB = 2 ** 20;

const RESULTS = {
	done: ["success", _("The memory is back: $0 of $1")],
	cancelled: ["info", _("The recall was cancelled: $0 of $1 are back")],
	"vm-ended": ["info", _("The recall ended early, because the VM has ended: $0 of $1 were back")],
	"no-room": ["warning", _("The recall ended early, because there is no more room: $0 of $1 are back")],
	failed: ["danger", _("The recall failed: $0 of $1 are back")],
	lost: ["warning", _("apfd has ended, and with it the recall: $0 of $1 were back")],
	unknown: ["warning", _("The recall has ended; apfd's log has the result: $0 of $1 were back when it was last seen")],
};

/* "38.1 MiB/s, 3.7 s left, slowed: other VMs wait for pages" */
function pace(recall) {
	const left = leftUSec(recall);
	return [
		format(_("$0 a second"), bytes(recall.BytesPerSec)),
		Number.isFinite(left) && format(_("$0 left"), left > 0 ? usec(left) : "0 s"),
		recall.Slowed && _("slowed down, because other VMs wait for pages"),
		!isUnlimited(recall.LimitPerSec) && format(_("limit $0 a second"), bytes(recall.LimitPerSec)),
	].filter(Boolean).join(", ");
}

export function RecallProgress({ recall, children }) {
	const value = donePercent(recall);
	return (
		<div className="apf-recall" data-recall={recall.path}>
			<Progress value={value} size="sm" label={`${value} %`} valueText={`${value} %`} measureLocation="outside"
				aria-label={format(_("Progress of the recall of $0"), recall.name)} />
			<p className="apf-subtle">
				{recall.TotalBytes > 0 ? `${format(_("$0 of $1"), bytes(recall.DoneBytes), bytes(recall.TotalBytes))}, ${pace(recall)}`
					: _("What is on swap is being counted…")}
			</p>
			{children}
		</div>
	);
}

export function RecallResult({ result, onClose, withName = false }) {
	const [variant, text] = RESULTS[result.result] || RESULTS.unknown;
	const title = format(text, bytes(result.done), bytes(result.total));
	return (
		<Alert isInline variant={variant} component={withName ? "h2" : "h4"} className="apf-recall-result" data-result={result.result}
			title={withName ? <><bdi>{result.name}</bdi>: {title}</> : title}
			actionClose={<AlertActionCloseButton aria-label={_("Close")} onClose={onClose} />}>
			{result.text}
		</Alert>
	);
}

/* Bytes per second from what the user typed in MiB: undefined if nothing, NaN if it is wrong. */
function parseRate(text) {
	const mib = text.trim();
	if (mib === "")
		return undefined;
	return /^\d{1,7}$/.test(mib) && Number(mib) >= 1 && Number(mib) <= RATE_MAX_MIB ? Number(mib) * MIB : NaN;
}

function RecallDialog({ vm, onRecall, onClose }) {
	const [text, setText] = useState("");
	const [pending, setPending] = useState(false);
	const [refusal, setRefusal] = useState(null);
	const id = useId();
	const wrong = Number.isNaN(parseRate(text));
	const submit = async event => {
		event.preventDefault();
		if (wrong || pending)
			return;
		setRefusal(null);
		setPending(true);
		try {
			await onRecall(vm, parseRate(text));
			onClose();
		} catch (error) {
			setPending(false);
			setRefusal(explain(error, PERMISSION));
		}
	};
	return (
		<Modal isOpen variant="small" onClose={onClose} aria-labelledby={`${id}-title`} aria-describedby={`${id}-body`}
			className="apf-dialog">
			<ModalHeader labelId={`${id}-title`} title={fill(_("Recall the memory of $0"), <bdi>{vm.Name}</bdi>)} />
			<ModalBody id={`${id}-body`}>
				<p>
					{swappedKnown(vm) ? format(_("$0 are brought back from swap, before the VM needs them. This is refused if they do " +
						"not fit, and becomes slower while other VMs wait for pages."), bytes(vm.SwappedBytes))
						: _("What is on swap is brought back, before the VM needs it. This is refused if it does not fit, " +
							"and becomes slower while other VMs wait for pages.")}
				</p>
				<Form id={`${id}-form`} onSubmit={submit}>
					<FormGroup label={_("At most this many MiB a second")} fieldId="apf-recall-rate">
						<TextInput id="apf-recall-rate" inputMode="numeric" value={text} validated={wrong ? "error" : "default"}
							aria-describedby="apf-recall-rate-help" aria-invalid={wrong} onChange={(_event, value) => setText(value)} />
						<FormHelperText>
							<HelperText>
								<HelperTextItem id="apf-recall-rate-help" variant={wrong ? "error" : "default"}>
									{wrong ? format(_("Enter a whole number from 1 to $0, or nothing."), RATE_MAX_MIB)
										: _("Empty: RatePerSec in the section [Recall] of apfd.conf.")}
								</HelperTextItem>
							</HelperText>
						</FormHelperText>
					</FormGroup>
				</Form>
				<div aria-live="assertive" id="apf-recall-refusal">
					{refusal &&
						<Alert isInline variant="danger" component="h2" title={_("The recall was not started")}>
							<p>{refusal.text}</p>
							{refusal.advice && <p>{refusal.advice}</p>}
						</Alert>}
				</div>
			</ModalBody>
			<ModalFooter>
				<Button id="apf-recall-start" type="submit" form={`${id}-form`} isDisabled={wrong} isLoading={pending}
					spinnerAriaValueText={_("The recall is being started")}>{_("Recall memory")}</Button>
				<Button variant="link" onClick={onClose}>{_("Cancel")}</Button>
			</ModalFooter>
		</Modal>
	);
}

/* Why there is nothing to recall; "" if there is. */
function obstacle(vm, running) {
	if (running)
		return _("A recall is under way.");
	/* These came with recalls. */
	if (!vm.Memory)
		return _("This apfd is older than the page and has no recalls.");
	if (!vm.PID)
		return _("The process of the VM is not known.");
	if (swappedKnown(vm) && !vm.SwappedBytes)
		return _("Nothing of the VM is on swap.");
	return "";
}

/* @recalls: of all VMs, as in the state of Apfd. */
export function Recall({ apfd, vm, recalls }) {
	const [asking, setAsking] = useState(false);
	const [refusal, setRefusal] = useState(null);
	const button = useRef(null);
	const cancelHasFocus = useRef(false);
	const running = recalls.running.find(r => r.VM === vm.path);
	const result = recalls.results.find(r => r.vmPath === vm.path);
	const reason = obstacle(vm, running);
	const cancel = () => {
		setRefusal(null);
		apfd.cancelRecall(running.path).catch(error => setRefusal(explain(error, PERMISSION)));
	};

	/* The button "Cancel" goes away with the recall: the keyboard focus must not be lost. */
	useEffect(() => {
		if (!running) {
			setRefusal(null);
			if (cancelHasFocus.current)
				button.current?.focus({ preventScroll: true });
			cancelHasFocus.current = false;
		}
	}, [running === undefined]);

	return (
		<section id="apf-recall">
			<Title headingLevel="h3" size="md">{_("Memory on swap")}</Title>
			<div className="apf-setting">
				<span>{swappedKnown(vm) ? bytes(vm.SwappedBytes) : _("not counted")}</span>
				<Button variant="secondary" size="sm" id="apf-recall-open" ref={button} isAriaDisabled={reason !== ""}
					aria-describedby={reason ? "apf-recall-reason" : undefined} onClick={() => setAsking(true)}>
					{_("Recall memory")}
				</Button>
				{reason && <span id="apf-recall-reason" className="apf-subtle">{reason}</span>}
			</div>
			{running &&
				<RecallProgress recall={running}>
					<Button variant="link" isInline id="apf-recall-cancel" onClick={cancel}
						onFocus={() => { cancelHasFocus.current = true; }} onBlur={() => { cancelHasFocus.current = false; }}>
						{_("Cancel the recall")}
					</Button>
				</RecallProgress>}
			{/* a live region must exist before its content, or nothing is announced */}
			<div aria-live="polite">
				{refusal &&
					<Alert isInline variant="danger" component="h4" title={_("The recall was not cancelled")}>
						<p>{refusal.text}</p>
						{refusal.advice && <p>{refusal.advice}</p>}
					</Alert>}
				{!running && result && <RecallResult result={result} onClose={() => apfd.dismissRecall(vm.path)} />}
			</div>
			{asking && <RecallDialog vm={vm} onRecall={(v, rate) => apfd.recall(v, rate)} onClose={() => setAsking(false)} />}
		</section>
	);
}

/* Above the table: recalls under way whose details are not open, and the ends of those that were started here. */
export function Recalls({ apfd, recalls, vms, selected, onSelect }) {
	const running = recalls.running.filter(r => r.VM !== selected);
	const ended = recalls.results.filter(r => r.isMine && r.vmPath !== selected);
	return (
		<>
			<div aria-live="polite" id="apf-recall-results">
				{ended.map(r => <RecallResult key={r.vmPath} result={r} withName onClose={() => apfd.dismissRecall(r.vmPath)} />)}
			</div>
			{running.length > 0 &&
				<Card isCompact id="apf-recalls">
					<CardTitle component="h2">{_("Memory that is brought back from swap")}</CardTitle>
					<CardBody className="apf-recalls">
						{running.map(r => {
							const vm = vms.find(v => v.path === r.VM);
							return (
								<div key={r.path}>
									{vm ? <Button variant="link" isInline onClick={() => onSelect(vm)}><bdi className="apf-short-name">{r.name}</bdi></Button>
										: <bdi className="apf-short-name">{r.name}</bdi>}
									<RecallProgress recall={r} />
								</div>
							);
						})}
					</CardBody>
				</Card>}
		</>
	);
}
